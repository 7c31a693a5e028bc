// Any bytes as a safetensors file, and as the JSON beside it: opened or refused in one line; what is opened
// can be read to its last byte.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "core/formats/safetensors/json_file.h"
#include "core/formats/safetensors/safetensors_folder.h"
#include "fuzz/memory_file.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckError(const hone::Error& error) {
  Require(error.kind == hone::ErrorKind::kBadInput);
  Require(error.message.find('\n') == std::string::npos && error.message.size() < 1000);
}

uint64_t ReadTensors(const hone::SafetensorsFolder& folder) {
  uint64_t sum = 0;
  for (const hone::FileTensor& tensor : folder.tensors()) {
    Require(folder.FindTensor(tensor.name) == &tensor);
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
  if (const auto folder = hone::SafetensorsFolder::Open(memory.path()); folder) {
    const uint64_t read = ReadTensors(*folder);
    asm volatile("" : : "r"(read));  // the reads happen
  } else {
    CheckError(folder.error());
  }
  // The same bytes behind the length, as config.json.
  constexpr size_t kLength = 8;
  if (size < kLength) return 0;
  const hone::MemoryFile text(data + kLength, size - kLength);
  if (const auto json = hone::ReadJsonObject(text.path()); json) {
    Require(json->is_object());
  } else {
    CheckError(json.error());
  }
  return 0;
}
