// How long one product of a packed matrix takes, in a setting that `hone bench kernels`, `hone tune kernels`
// and the experiments share.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/memory_account.h"
#include "core/kernels/matmul_table.h"

namespace hone {

// Copies of a matrix of random codes that are multiplied one after the other, so that with enough of them no
// cache holds the next one, as it is in a model; and random activations.
class MatmulSubject {
 public:
  // As many copies as make up `bytes`, at least one. [rows, columns] fits the format. `file_rows` is what
  // PackGroup takes for 16 rows, of which all consist; empty: random codes.
  static Result<MatmulSubject> Create(MemoryAccount& account, const WeightFormat& format, int64_t rows,
                                      int64_t columns, uint64_t bytes,
                                      std::span<const std::byte> file_rows = {});

  // Seconds that one product with `activation_rows` rows takes, cut into tasks as the choice says: the mean
  // over products that last `seconds` together, at least one each. The preparation of the activations is not
  // in it.
  double Measure(ComputeShare& share, NumericMode mode, int64_t activation_rows, const MatmulChoice& choice,
                 double seconds);

  uint64_t matrix_bytes() const { return matrix_bytes_; }
  const PackedMatrix& matrix() const { return matrix_; }

 private:
  PackedMatrix matrix_;  // the first copy
  uint64_t matrix_bytes_ = 0;
  uint64_t copies_ = 0;
  uint64_t next_ = 0;
  Buffer weights_;
  std::vector<MatmulCut> cuts_;
  std::vector<float> values_;  // of activations
  std::vector<std::byte> prepared_;
  std::vector<float> result_;
};

}  // namespace hone
