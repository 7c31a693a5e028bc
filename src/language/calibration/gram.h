// Sums of X^T W X over batches of rows, on the engine's own products.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/base/compute_share.h"
#include "core/tensor/view.h"

namespace hone {

// Keeps its working memory between calls.
class GramSums {
 public:
  // sums [columns, columns] += sum over rows r of weights[r] x_r x_r^T. The same bits for any number of
  // threads.
  void Add(ComputeShare& share, MatrixView<const float> x, std::span<const float> weights,
           MatrixView<float> sums);

 private:
  std::vector<float> transposed_;  // [columns, rows]: x sqrt(weight)
  std::vector<std::byte> packed_;
  std::vector<std::byte> prepared_;
  std::vector<float> product_;
};

}  // namespace hone
