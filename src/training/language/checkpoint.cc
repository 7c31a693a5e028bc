#include "training/language/checkpoint.h"

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <optional>

#include "core/base/output_file.h"
#include "core/formats/safetensors/safetensors_file.h"
#include "core/formats/safetensors/safetensors_writer.h"

namespace hone {
namespace {

constexpr const char* kStepName = "checkpoint.step";
constexpr const char* kHashName = "checkpoint.hash";

std::string PathOf(const std::string& folder, int slot) {
  return fmt::format("{}/checkpoint-{}.safetensors", folder, slot);
}

class Hasher {
 public:
  Hasher() : state_(XXH3_createState()) { XXH3_128bits_reset(state_); }
  ~Hasher() { XXH3_freeState(state_); }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void Add(std::string_view name, std::span<const int64_t> shape, std::span<const std::byte> bytes) {
    const uint64_t size = name.size();
    XXH3_128bits_update(state_, &size, sizeof(size));
    XXH3_128bits_update(state_, name.data(), name.size());
    XXH3_128bits_update(state_, shape.data(), shape.size_bytes());
    XXH3_128bits_update(state_, bytes.data(), bytes.size());
  }
  std::array<int64_t, 2> Finish() {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_);
    return {static_cast<int64_t>(hash.low64), static_cast<int64_t>(hash.high64)};
  }

 private:
  XXH3_state_t* state_;
};

Result<Checkpoint> ReadSlot(const std::string& path) {
  HONE_TRY(const SafetensorsFile file, ReadSafetensorsFile(path));
  Checkpoint checkpoint{.path = path};
  Hasher hasher;
  std::optional<std::array<int64_t, 2>> stored;
  bool has_step = false;
  for (const FileTensor& tensor : file.tensors) {
    const auto bytes = tensor.bytes();
    if (tensor.name == kHashName && tensor.type == DType::kI64 && bytes.size() == 16) {
      stored.emplace();
      std::memcpy(stored->data(), bytes.data(), bytes.size());
      continue;
    }
    hasher.Add(tensor.name, tensor.shape, bytes);
    if (tensor.name == kStepName && tensor.type == DType::kI64 && bytes.size() == 8) {
      std::memcpy(&checkpoint.step, bytes.data(), bytes.size());
      has_step = true;
      continue;
    }
    if (tensor.type != DType::kF32)
      return BadInput(path, tensor.name, "type {}, expected F32", Info(tensor.type).name);
    LoadedValues values{.name = std::string(tensor.name),
                        .shape = {tensor.shape.begin(), tensor.shape.end()},
                        .values = std::vector<float>(bytes.size() / sizeof(float))};
    std::memcpy(values.values.data(), bytes.data(), bytes.size());
    checkpoint.tensors.push_back(std::move(values));
  }
  if (!stored || !has_step) return BadInput(path, kHashName, "absent, expected a checkpoint of training");
  if (*stored != hasher.Finish())
    return BadInput(path, kHashName, "the values do not match it, the file is damaged");
  return checkpoint;
}

// The step alone, without checking the values; -1 where the file says none.
int64_t StepOf(const std::string& path) {
  const auto file = ReadSafetensorsFile(path);
  if (!file) return -1;
  for (const FileTensor& tensor : file->tensors) {
    if (tensor.name != kStepName || tensor.bytes().size() != sizeof(int64_t)) continue;
    int64_t step = -1;
    std::memcpy(&step, tensor.bytes().data(), sizeof(step));
    return step;
  }
  return -1;
}

}  // namespace

Result<void> SaveCheckpoint(const std::string& folder, int64_t step, std::span<const NamedValues> tensors) {
  const std::array step_value{step};
  Hasher hasher;
  std::vector<NewTensor> all;
  const auto add = [&](std::string_view name, DType type, std::span<const int64_t> shape,
                       std::span<const std::byte> bytes) {
    hasher.Add(name, shape, bytes);
    all.push_back({std::string(name), type, {shape.begin(), shape.end()}, bytes});
  };
  const std::array<int64_t, 1> one{1};
  add(kStepName, DType::kI64, one, std::as_bytes(std::span(step_value)));
  for (const NamedValues& tensor : tensors)
    add(tensor.name, DType::kF32, tensor.shape, std::as_bytes(tensor.values));
  const auto hash = hasher.Finish();
  all.push_back({kHashName, DType::kI64, {2}, std::as_bytes(std::span(hash))});
  HONE_TRY(const std::string bytes, EncodeSafetensors(all));
  const int slot = StepOf(PathOf(folder, 0)) > StepOf(PathOf(folder, 1)) ? 1 : 0;
  HONE_TRY(OutputFile file, OutputFile::Create(PathOf(folder, slot)));
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(bytes))));
  return file.Commit();
}

bool HasCheckpoint(const std::string& folder) {
  return std::filesystem::exists(PathOf(folder, 0)) || std::filesystem::exists(PathOf(folder, 1));
}

Result<Checkpoint> LoadCheckpoint(const std::string& folder) {
  if (!HasCheckpoint(folder))
    return BadInput(folder, "checkpoint", "found none, expected checkpoint-0.safetensors");
  const int newest = StepOf(PathOf(folder, 0)) >= StepOf(PathOf(folder, 1)) ? 0 : 1;
  auto checkpoint = ReadSlot(PathOf(folder, newest));
  if (checkpoint) return checkpoint;
  const std::string reason = checkpoint.error().message;
  auto other = ReadSlot(PathOf(folder, 1 - newest));
  if (!other) return checkpoint;
  other->passed_over = reason;
  return other;
}

}  // namespace hone
