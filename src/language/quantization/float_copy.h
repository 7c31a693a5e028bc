// A model file with its quantized matrices written out as floats: the baseline beside which 4-bit weights are
// measured. Its values are those of the quantized file, so that both give the same text.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/result.h"
#include "core/tensor/dtype.h"

namespace hone {

struct FloatCopy {
  int64_t matrices = 0;      // that were quantized and are floats now
  int64_t out_of_range = 0;  // values beyond those of F16, which became infinite
  uint64_t bytes = 0;        // of all tensors
};

// Reads the GGUF file (any shard of a split set) `from` and writes `to`, one file: matrices in `type` (F16 or
// F32) where they were quantized, everything else as it was. Rows are converted one at a time. `progress` is
// told the tensor bytes written and their total.
Result<FloatCopy> WriteFloatCopy(const std::string& from, DType type, const std::string& to,
                                 const std::function<void(uint64_t done, uint64_t total)>& progress = {});

}  // namespace hone
