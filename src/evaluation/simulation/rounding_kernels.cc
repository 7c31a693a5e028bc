#include "evaluation/simulation/rounding_kernels.h"

#include <algorithm>

#include "evaluation/simulation/group_rounding.h"

namespace hone {

void RoundingKernels::ReadRows(ComputeShare& share, const PackedMatrix& w, std::span<const int64_t> ids,
                               float scale, MatrixView<float> y) const {
  in_layers_ = true;
  inner_.ReadRows(share, w, ids, scale, y);
}

void RoundingKernels::CopyRows(MatrixView<const float> x, std::span<const int64_t> from, MatrixView<float> y,
                               std::span<const int64_t> to) const {
  in_layers_ = false;
  inner_.CopyRows(x, from, y, to);
}

void RoundingKernels::Round(std::span<float> row) const {
  if (setting_.rounding == ActivationRounding::kToken) {
    RoundAsymmetric(row, setting_.bits, static_cast<int64_t>(row.size()));
  } else {
    RoundAsInt8(row);
  }
}

void RoundingKernels::Prepare(ComputeShare& share, ActivationForm form, MatrixView<const float> x,
                              std::byte* data) const {
  const bool rounds = in_layers_ || (setting_.rounding == ActivationRounding::kBlocks && setting_.head);
  if (!rounds) {
    inner_.Prepare(share, form, x, data);
    return;
  }
  rounded_.resize(static_cast<size_t>(x.rows * x.columns));
  const MatrixView<float> y(rounded_.data(), x.rows, x.columns);
  ForRows(share, x.rows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::ranges::copy(x.row_span(i), y.row(i));
      Round(y.row_span(i));
    }
  });
  inner_.Prepare(share, form, y, data);
}

}  // namespace hone
