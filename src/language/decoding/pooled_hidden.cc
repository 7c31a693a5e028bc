#include "language/decoding/pooled_hidden.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/elementwise.h"
#include "language/decoding/long_rope.h"

namespace hone {

PooledHidden::PooledHidden(Runner& runner, Sequence& sequence)
    : runner_(runner), sequence_(sequence), sum_(static_cast<size_t>(runner.model().config().width), 0.0) {}

int64_t PooledHidden::pending_rows() const {
  return static_cast<int64_t>(sequence_.tokens.size()) - sequence_.cached;
}

Result<void> PooledHidden::Propose(int64_t max_rows, Proposal& proposal) {
  const auto length = static_cast<int64_t>(sequence_.tokens.size());
  HONE_CHECK_OK(ChooseRopeFactors(runner_.model().config(), length, sequence_));
  proposed_ = std::min(max_rows, length - sequence_.cached);
  proposal.target.runner = &runner_;
  proposal.target.head = false;
  proposal.target.observer = this;
  AppendRows(sequence_, sequence_.cached, sequence_.cached + proposed_, false, false, proposal.batch);
  return {};
}

Result<void> PooledHidden::Receive(int64_t, std::span<float>) { return {}; }

bool PooledHidden::Wants(Tensor tensor, int layer) const {
  return tensor == Tensor::kHidden && layer + 1 == runner_.model().config().layers;
}

void PooledHidden::Observe(Tensor, int, std::span<const int64_t>, MatrixView<const float> values) {
  step_sum_.assign(sum_.size(), 0.0);
  std::vector<float> normed(sum_.size());
  for (int64_t row = 0; row < values.rows; ++row) {
    // Rows that are read again, after their pages were given up, are counted already.
    if (sequence_.cached + row < counted_) continue;
    RmsNorm(values.row_span(row), runner_.model().output_norm(), runner_.model().config().norm_epsilon,
            normed);
    for (size_t i = 0; i < normed.size(); ++i) step_sum_[i] += normed[i];
  }
}

Result<void> PooledHidden::Commit(std::vector<ChosenToken>& chosen) {
  for (size_t i = 0; i < sum_.size(); ++i) sum_[i] += step_sum_[i];
  sequence_.cached += proposed_;
  counted_ = std::max(counted_, sequence_.cached);
  proposed_ = 0;
  // The one that the budget of 0 refuses: the answer ends.
  if (pending_rows() == 0) chosen.emplace_back();
  return {};
}

void PooledHidden::RollBack(int64_t) {}

std::vector<float> PooledHidden::Embedding() const {
  double squares = 0.0;
  for (const double value : sum_) squares += value * value;
  const double scale = squares > 0.0 ? 1.0 / std::sqrt(squares) : 0.0;
  std::vector<float> embedding;
  for (const double value : sum_) embedding.push_back(static_cast<float>(value * scale));
  return embedding;
}

}  // namespace hone
