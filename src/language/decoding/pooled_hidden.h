// Embeds a text: the mean over its tokens of the last hidden state after the output norm, scaled to length 1.
// Reads its prompt like any strategy, so it is batched and scheduled with answers; it settles on no token.
#pragma once

#include <vector>

#include "language/decoding/decoding_strategy.h"
#include "language/models/hooks.h"

namespace hone {

// The answer's budget has to be 0: it ends when the prompt is read. Nothing cached may be reused: every row
// counts.
class PooledHidden : public DecodingStrategy, private Observer {
 public:
  PooledHidden(Runner& runner, Sequence& sequence);

  Sequence& sequence() override { return sequence_; }
  int64_t pending_rows() const override;
  Result<void> Propose(int64_t max_rows, Proposal& proposal) override;
  Result<void> Receive(int64_t row, std::span<float> logits) override;
  Result<void> Commit(std::vector<ChosenToken>& chosen) override;
  void RollBack(int64_t tokens) override;

  // [width], once the prompt is read.
  std::vector<float> Embedding() const;

 private:
  bool Wants(Tensor tensor, int layer) const override;
  void Observe(Tensor tensor, int layer, std::span<const int64_t> batch_rows,
               MatrixView<const float> values) override;

  Runner& runner_;
  Sequence& sequence_;
  int64_t proposed_ = 0;
  std::vector<double> step_sum_;
  std::vector<double> sum_;
  int64_t counted_ = 0;  // tokens whose rows are in sum_
};

}  // namespace hone
