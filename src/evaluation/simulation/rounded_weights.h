// The matrices of a model's layers rounded in groups: as floats (a simulation), or packed into blocks of a
// file type that hold the very same values.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/compute_share.h"
#include "core/base/result.h"
#include "core/tensor/dtype.h"
#include "language/conversion/model_source.h"

namespace hone {

// The type whose blocks hold codes of `bits` bits with a scale and a least value for each 32 columns: Q4_1 or
// Q5_1. Another number of bits, or a group that is no multiple of 32, has none (kFailed).
Result<DType> PackedTypeOf(int bits, int64_t group);

// Whether it is a matrix of a layer: what is rounded.
bool IsLayerMatrix(const SourceTensor& tensor);

struct RoundedWeights {
  uint64_t bytes = 0;    // by formula: codes, a float16 scale and a zero point of `bits` bits a group
  uint64_t weights = 0;  // of the matrices that were rounded
};

// Writes `to`: the matrices of all layers rounded (StoredGrid, so that both forms hold the same values) in
// groups of columns, as `type` (F32, or PackedTypeOf); embedding, head and vectors stay as they are. Refused:
// rows that are no whole number of groups.
Result<RoundedWeights> WriteRoundedWeights(const ModelSource& source, int bits, int64_t group, DType type,
                                           const std::string& to, ComputeShare& share);

}  // namespace hone
