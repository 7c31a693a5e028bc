// How many bytes and operations each operator of a model takes, from shapes alone.
#pragma once

#include <array>
#include <cstdint>

#include "language/models/model.h"
#include "language/models/operators.h"

namespace hone {

// What a stretch of work reads and writes. Weights and KV come from memory; activations are written and read
// again at once, mostly in the caches.
struct OperatorWork {
  double weight_bytes = 0.0;
  double kv_bytes = 0.0;
  double activation_bytes = 0.0;
  double float_operations = 0.0;  // a fused multiply-add is two
  double byte_operations = 0.0;   // products and sums of 8-bit numbers, likewise

  OperatorWork& operator+=(const OperatorWork& other);
};
using WorkByOperator = std::array<OperatorWork, kOperators>;

// `sequences` side by side, each of which holds `context` entries and gets `rows` new tokens in steps of at
// most `step_rows` rows of all sequences together; logits of each sequence's last row of each step. That is
// what MeasureSpeed runs: rows = 1 is one step of decoding.
struct StepShape {
  int64_t sequences = 1;
  int64_t context = 0;
  int64_t rows = 1;
  int64_t step_rows = 512;
};

// Counts one stretch. A product of [rows, K] and [N, K] is 2 rows N K operations; in fast mode quantized
// matrices are multiplied as bytes, the projections before attention twice (see
// Forward::ProjectQueryKeyValue). Attention is 4 heads head_dim for each row and entry that it sees; a KV
// entry is read once a step. Norm, rope, activation and sampling are counted as what they read and write,
// with a few operations a value.
WorkByOperator CountWork(const Model& model, NumericMode mode, const StepShape& shape);

}  // namespace hone
