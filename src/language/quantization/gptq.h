// GPTQ: columns are rounded one after the other, and what one column loses is made up for by those to come.
//
// Frantar, Ashkboos, Hoefler, Alistarh: GPTQ (arXiv 2210.17323), algorithm 1. Cost: the second moments of a
// layer's inputs, [columns, columns] floats, and columns^2 multiplications a row. Composes with every block
// format: a block's scales are chosen, with its values as they are by then, when its first column is reached.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/result.h"
#include "core/tensor/dtype.h"

namespace hone {

// The upper triangular R with (H + damping mean(diag H) I)^-1 = R^T R, [columns, columns] row-major, from the
// second moments H. Columns that are always zero get a 1 on the diagonal. Computed in place: by U with H =
// U U^T, then R = U^-1. Fails where H holds no positive definite matrix, which damping prevents for finite H.
Result<std::vector<float>> InverseFactor(ComputeShare& share, std::vector<float> moments, int64_t columns,
                                         double damping = 0.01);

// Quantizes rows [rows, columns] to blocks of `type` at `out`. `importance` [columns], the diagonal of H,
// weighs the search for scales.
void QuantizeRowsGptq(DType type, const float* x, int64_t rows, int64_t columns,
                      std::span<const float> importance, std::span<const float> inverse_factor,
                      std::byte* out);

}  // namespace hone
