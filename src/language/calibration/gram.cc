#include "language/calibration/gram.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/matmul.h"

namespace hone {
namespace {

constexpr int64_t kSlice = 64;     // columns of x that one task transposes or packs
constexpr int64_t kTaskRows = 16;  // of the result: one group of packed rows

std::byte* Aligned(std::vector<std::byte>& memory, int64_t bytes) {
  constexpr uintptr_t kAlignment = 64;
  memory.resize(static_cast<size_t>(bytes) + kAlignment);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + ((address + kAlignment - 1) / kAlignment * kAlignment - address);
}

}  // namespace

void GramSums::Add(ComputeShare& share, MatrixView<const float> x, std::span<const float> weights,
                   MatrixView<float> sums) {
  const int64_t columns = x.columns, rows = x.rows;
  transposed_.resize(static_cast<size_t>(columns * rows));
  std::vector<float> roots(weights.begin(), weights.end());
  for (float& root : roots) root = std::sqrt(root);
  const WeightFormat& format = *FindWeightFormat(DType::kF32);
  const int64_t groups = (columns + kRowGroup - 1) / kRowGroup;
  const int64_t group_bytes = format.GroupBytes(rows);
  std::byte* packed = Aligned(packed_, groups * group_bytes);
  std::byte* prepared = Aligned(prepared_, PreparedBytes(ActivationForm::kFloat, columns, rows));
  const MatrixView<const float> view(transposed_.data(), columns, rows);
  share.ParallelFor((columns + kSlice - 1) / kSlice, [&](int64_t task) {
    const int64_t begin = task * kSlice, end = std::min(columns, begin + kSlice);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = begin; column < end; ++column)
        transposed_[static_cast<size_t>(column * rows + row)] =
            x.row(row)[column] * roots[static_cast<size_t>(row)];
    }
    for (int64_t first = begin; first < end; first += kRowGroup) {
      format.PackGroup(reinterpret_cast<const std::byte*>(view.row(first)), std::min(kRowGroup, end - first),
                       rows, packed + first / kRowGroup * group_bytes);
    }
    Prepare(ActivationForm::kFloat, view, begin, end, prepared);
  });
  product_.resize(static_cast<size_t>(columns * columns));
  const MatrixView<float> product(product_.data(), columns, columns);
  const PackedMatrix w{&format, columns, rows, packed};
  const Activations activations{ActivationForm::kFloat, columns, rows, prepared};
  share.ParallelFor((columns + kTaskRows - 1) / kTaskRows, [&](int64_t task) {
    const int64_t begin = task * kTaskRows, end = std::min(columns, begin + kTaskRows);
    format.Multiply({w, activations, begin, end, product, MatmulKernel::kPanels});
  });
  share.ParallelFor((columns + kTaskRows - 1) / kTaskRows, [&](int64_t task) {
    const int64_t end = std::min(columns, (task + 1) * kTaskRows);
    for (int64_t row = task * kTaskRows; row < end; ++row) {
      for (int64_t column = 0; column < columns; ++column) sums.row(row)[column] += product.row(row)[column];
    }
  });
}

}  // namespace hone
