// From float32 rows to the blocks of every type of weights that GGUF files hold. The layouts are those of
// core/tensor/blocks.h; the searches are hone's own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/dtype.h"

namespace hone {

// How a block's scale (and minimum) is found. Codes are always the nearest to x on the grid that was chosen.
//   kNearest: from the extreme values of the block. For Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, F16 and BF16 the bytes
//     equal those of gguf-py (gguf/quants.py, `quantize`).
//   kSearch: the grid with the least weighted error sum_j w_j (x_j - x'_j)^2 among some twenty around that
//   one,
//     each improved by least squares. The grid of kNearest is one of those that are compared, on the values
//     that a reader of the block gets, so that the error is never above its.
enum class Rounding : uint8_t { kNearest, kSearch };

// Quantizes `rows` rows of `columns` values, contiguous in x, to rows * RowBytes(type, columns) bytes at
// `out`. `columns` is a multiple of the type's block; every value is finite. `type` is F32, F16, BF16 or one
// of the twelve quantized types.
//
// `importance` [columns] (not negative, finite) or null weighs the error of each column in kSearch; a block
// whose columns all have zero importance counts as if all had the same. Without importance the weight is 1.
// Every processor target gives the same bytes.
void QuantizeRows(DType type, const float* x, int64_t rows, int64_t columns, const float* importance,
                  Rounding rounding, std::byte* out);

// Rows of any type of weights to float32, as Dequantize (core/kernels/reference) gives them, bit for bit;
// F16 and BF16 in vectors.
void WidenRows(DType type, const std::byte* rows, int64_t count, int64_t columns, float* out);

}  // namespace hone
