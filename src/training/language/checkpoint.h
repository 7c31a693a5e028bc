// Where a training run stands, on disk. A run can be killed at any moment: a checkpoint appears whole or not
// at all, two are kept, and the newest whose hash is right is taken.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace hone {

struct NamedValues {
  std::string name;
  std::vector<int64_t> shape;
  std::span<const float> values;
};

struct LoadedValues {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

struct Checkpoint {
  int64_t step = 0;  // steps that are done
  std::vector<LoadedValues> tensors;
  std::string path;
  std::string passed_over;  // why the other file was not taken, empty where it was merely older or absent
};

// Writes FOLDER/checkpoint-0.safetensors or checkpoint-1.safetensors in turn (the one that does not hold the
// newest), with the step and a 128-bit hash over names, shapes and values among the tensors. Written beside,
// synced, renamed.
Result<void> SaveCheckpoint(const std::string& folder, int64_t step, std::span<const NamedValues> tensors);

// The newest good one. No checkpoint at all is an error that says so; HasCheckpoint tells first.
Result<Checkpoint> LoadCheckpoint(const std::string& folder);
bool HasCheckpoint(const std::string& folder);

}  // namespace hone
