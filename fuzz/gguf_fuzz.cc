// Any bytes as a GGUF file: opened or refused in one line; what is opened can be read to its last byte.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/formats/gguf/gguf_file.h"
#include "fuzz/memory_file.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

template <class T>
uint64_t Use(const hone::Result<T>& result) {
  if (result) return 1;
  Require(result.error().kind == hone::ErrorKind::kBadInput);
  Require(result.error().message.find('\n') == std::string::npos && result.error().message.size() < 1000);
  return 0;
}

// Each typed read answers or refuses.
uint64_t ReadMetadata(const hone::GgufFile& file) {
  uint64_t readable = 0;
  for (const auto& [key, value] : file.metadata()) {
    Require(!key.empty() && file.Find(key) == &value);
    readable += Use(file.Integer(key)) + Use(file.Real(key)) + Use(file.Boolean(key)) + Use(file.Text(key)) +
                Use(file.Integers(key)) + Use(file.Reals(key)) + Use(file.Booleans(key)) +
                Use(file.Texts(key));
    const auto strings = file.Strings(key);
    if (!Use(strings)) continue;
    uint64_t count = 0;
    for (const std::string_view text : **strings) {
      if (!text.empty()) readable += static_cast<unsigned char>(text.back());
      ++count;
    }
    Require(count == (*strings)->size());
  }
  return readable;
}

uint64_t ReadTensors(const hone::GgufFile& file) {
  uint64_t sum = 0;
  for (const hone::FileTensor& tensor : file.tensors()) {
    Require(file.FindTensor(tensor.name) == &tensor);
    const auto bytes = tensor.bytes();
    Require(static_cast<int64_t>(bytes.size()) ==
            tensor.rows() * hone::RowBytes(tensor.type, tensor.columns()));
    sum += std::to_integer<uint64_t>(bytes.front()) + std::to_integer<uint64_t>(bytes.back());
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const hone::MemoryFile memory(data, size);
  const auto file = hone::GgufFile::Open(memory.path());
  if (!Use(file)) return 0;
  const uint64_t read = ReadMetadata(*file) + ReadTensors(*file);
  asm volatile("" : : "r"(read));  // the reads happen
  return 0;
}
