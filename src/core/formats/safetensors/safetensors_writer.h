// Writes small safetensors files: what a plan or a trained part is stored as.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/tensor/dtype.h"

namespace hone {

// `shape` is row-major, slowest dimension first; `bytes` holds the values, little-endian.
struct NewTensor {
  std::string name;
  DType type = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// The file's bytes: the header padded to 8 bytes, then the tensors in the order given. Refused by name: a
// second tensor of the name, a type that safetensors cannot hold, bytes that do not fit the shape.
Result<std::string> EncodeSafetensors(std::span<const NewTensor> tensors);

}  // namespace hone
