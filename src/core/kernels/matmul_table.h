// Which kernel multiplies a matrix and how the work is cut: one table for the whole engine, keyed by shape,
// format, rows and threads. It is data: `hone tune kernels` measures it on a machine and stores it as a plan.
// As all kernels of a format give the same bits, a table changes speed and nothing else. Source: the
// heuristic dataflow of FlashDecoding++ (arXiv 2311.01282, section 5), with every cell measured instead of
// two turning points for each shape.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "core/kernels/matmul.h"

namespace hone {

struct MatmulChoice {
  MatmulKernel kernel = MatmulKernel::kPanels;
  int64_t rows_per_task = kRowGroup;  // weight rows of a task at most; a multiple of kRowGroup

  bool operator==(const MatmulChoice&) const = default;
};

struct MatmulKey {
  DType format = DType::kF32;
  ActivationForm form = ActivationForm::kFloat;
  int threads = 1;
  int64_t rows = 0;             // N
  int64_t columns = 0;          // K
  int64_t activation_rows = 0;  // M

  auto operator<=>(const MatmulKey&) const = default;
};

struct MatmulCell {
  MatmulKey key;
  MatmulChoice choice;
};

class MatmulTable {
 public:
  void Set(const MatmulKey& key, const MatmulChoice& choice);
  // The cell with the fewest activation rows that are enough, else the one with the most; where the table
  // knows nothing of the matrix, BuiltInMatmulChoice.
  MatmulChoice Choose(const MatmulKey& key) const;
  std::span<const MatmulCell> cells() const { return cells_; }

 private:
  std::vector<MatmulCell> cells_;  // by rising key
};

// What holds without measuring: one row runs from registers, few rows too while unpacking again for each tile
// is cheaper than writing and reading a panel, and tasks last well under half a millisecond.
MatmulChoice BuiltInMatmulChoice(const MatmulKey& key);

// Rows [begin, end) of one of several products that run side by side.
struct MatmulCut {
  size_t product = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

// Cuts products of rows[i] weight rows each, tasks of at most most[i] of them, for `threads`: each task takes
// half of a thread's even share of what is left, so that the first tasks are long streams and the last ones
// end together. Boundaries are multiples of kRowGroup.
void CutProducts(std::span<const int64_t> rows, std::span<const int64_t> most, int threads,
                 std::vector<MatmulCut>& cuts);

}  // namespace hone
