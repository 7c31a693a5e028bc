// What a row of weights means, in plain C++: the oracle of every fast kernel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/dtype.h"

namespace hone {

// Writes the `columns` values of a row of `type` to `out`. `columns` is a multiple of the type's block; `row`
// holds RowBytes(type, columns) bytes and needs no alignment.
//
// Each value is one product, or one product and one sum, of float32 numbers, each rounded by itself; so the
// results equal those of gguf-py (gguf/quants.py, `dequantize`) in every bit, for every finite scale.
void Dequantize(DType type, const std::byte* row, int64_t columns, float* out);

}  // namespace hone
