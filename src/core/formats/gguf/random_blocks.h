// Rows of random weights in every type, drawn block by block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/tensor/dtype.h"

namespace hone {

// Draws rows of one type whose values are nearly Gaussian around 0. A row is a function of its seed alone.
class RandomRows {
 public:
  // `deviation`: the standard deviation of the values. F32, F16, BF16 and the quantized types only.
  static std::unique_ptr<RandomRows> Make(DType type, float deviation);
  virtual ~RandomRows() = default;

  // Fills RowBytes(type, columns) bytes.
  virtual void Draw(uint64_t seed, int64_t columns, std::byte* row) const = 0;
};

}  // namespace hone
