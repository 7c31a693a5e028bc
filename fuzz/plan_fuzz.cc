// Any bytes as the two files of a plan: read or refused in one line; what is read can be written and is the
// same again. The input is plan.json, a zero byte, tensors.safetensors; the word HASH in plan.json stands for
// the hash of what follows, so that the tensors are reached.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/formats/plan/plan.h"
#include "fuzz/memory_file.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const uint8_t* const end = std::find(data, data + size, 0);
  std::string json(data, end);
  const uint8_t* const tensors = std::min(end + 1, data + size);
  const auto count = static_cast<size_t>(data + size - tensors);
  const std::string hash = fmt::format("{:016x}", XXH3_64bits(tensors, count));
  if (const size_t at = json.find("HASH"); at != std::string::npos) json.replace(at, 4, hash);
  const hone::MemoryFile first(reinterpret_cast<const uint8_t*>(json.data()), json.size());
  const hone::MemoryFile second(tensors, count);
  const auto plan = hone::ReadPlanFiles(first.path(), second.path());
  if (!plan) {
    Require(plan.error().kind == hone::ErrorKind::kBadInput);
    Require(plan.error().message.find('\n') == std::string::npos && plan.error().message.size() < 1000);
    return 0;
  }
  uint64_t sum = 0;
  for (const auto& [name, part] : plan->parts) {
    Require(!name.empty() && !part.made_for.empty() && part.settings.front() == '{');
    for (const auto& [tensor_name, tensor] : part.tensors) {
      int64_t values = 1;
      for (const int64_t dimension : tensor.shape) values *= dimension;
      Require(static_cast<int64_t>(tensor.bytes.size()) == values * hone::Info(tensor.type).bytes);
      for (const std::byte byte : tensor.bytes) sum += std::to_integer<uint64_t>(byte);
    }
  }
  asm volatile("" : : "r"(sum));  // the reads happen
  return 0;
}
