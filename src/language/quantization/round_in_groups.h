// Plain low-bit groups: what mixed weights are compared with.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/result.h"
#include "core/tensor/view.h"

namespace hone {

// w rounded to `bits` bits in groups of `group` columns with a float16 scale and minimum each, the best of
// eight shrunk ranges by the loss weighted with `importance` (empty: all ones), into `values`; the bits a
// weight that this takes are returned.
Result<double> RoundInGroups(MatrixView<const float> w, int bits, int64_t group,
                             std::span<const float> importance, MatrixView<float> values);

}  // namespace hone
