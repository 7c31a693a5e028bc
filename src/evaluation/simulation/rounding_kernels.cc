#include "evaluation/simulation/rounding_kernels.h"

#include <algorithm>

#include "evaluation/simulation/group_rounding.h"

namespace hone {
namespace {

constexpr int kProductsOfALayer = 4;

// x becomes the values of its bytes; `residual` what they leave out.
void RoundToBytes(std::span<float> x, std::span<float> residual) {
  QuantizationResidual(x, residual);
  for (size_t i = 0; i < x.size(); ++i) x[i] -= residual[i];
}

}  // namespace

void RoundingKernels::ReadRows(ComputeShare& share, const PackedMatrix& w, std::span<const int64_t> ids,
                               float scale, MatrixView<float> y) const {
  in_layers_ = true;
  products_ = 0;
  inner_.ReadRows(share, w, ids, scale, y);
}

void RoundingKernels::CopyRows(MatrixView<const float> x, std::span<const int64_t> from, MatrixView<float> y,
                               std::span<const int64_t> to) const {
  in_layers_ = false;
  inner_.CopyRows(x, from, y, to);
}

void RoundingKernels::Round(std::span<float> row, bool twice) const {
  if (setting_.rounding == ActivationRounding::kToken) {
    RoundAsymmetric(row, setting_.bits, static_cast<int64_t>(row.size()));
    return;
  }
  std::vector<float> residual(row.size());
  RoundToBytes(row, residual);
  if (!twice) return;
  std::vector<float> left(row.size());
  RoundToBytes(residual, left);
  for (size_t i = 0; i < row.size(); ++i) row[i] += residual[i];
}

void RoundingKernels::Prepare(ComputeShare& share, ActivationForm form, MatrixView<const float> x,
                              std::byte* data) const {
  const bool rounds = in_layers_ || (setting_.rounding == ActivationRounding::kBlocks && setting_.head);
  if (!rounds) {
    inner_.Prepare(share, form, x, data);
    return;
  }
  const bool twice = in_layers_ && products_ % kProductsOfALayer == 0;
  if (in_layers_) ++products_;
  rounded_.resize(static_cast<size_t>(x.rows * x.columns));
  const MatrixView<float> y(rounded_.data(), x.rows, x.columns);
  ForRows(share, x.rows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::ranges::copy(x.row_span(i), y.row(i));
      Round(y.row_span(i), twice);
    }
  });
  inner_.Prepare(share, form, y, data);
}

}  // namespace hone
