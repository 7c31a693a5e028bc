// Plain decoding: read the prompt in chunks, then one token a step. The baseline of every other strategy.
#pragma once

#include <functional>
#include <vector>

#include "language/decoding/decoding_strategy.h"
#include "language/decoding/sampler.h"

namespace hone {

struct PlainDecodingOptions {
  int64_t top = 0;  // how many of the largest raw logits each chosen token brings
  bool log_probabilities = false;
  bool prompt_top = false;     // keep the `top` largest raw logits of every prompt row too
  bool prompt_scores = false;  // and how likely each prompt token but the first was
};

class PlainDecoding : public DecodingStrategy {
 public:
  // `sequence` holds the prompt; its first `cached` tokens are in its cache already, at most all but one.
  // Runner and sequence outlive the strategy.
  PlainDecoding(Runner& runner, Sequence& sequence, Sampler sampler, const PlainDecodingOptions& options);

  Sequence& sequence() override { return sequence_; }
  int64_t pending_rows() const override;
  Result<void> Propose(int64_t max_rows, Proposal& proposal) override;
  Result<void> Receive(int64_t row, std::span<float> logits) override;
  Result<void> Commit(std::vector<ChosenToken>& chosen) override;
  void RollBack(int64_t tokens) override;

  const Sampler& sampler() const { return sampler_; }
  // One list a prompt row that was run, in order, if asked for.
  const std::vector<std::vector<ScoredToken>>& prompt_top() const { return prompt_top_; }
  // Prompt tokens 1, 2, .. with their log-probabilities, if asked for.
  const std::vector<ChosenToken>& prompt_scores() const { return prompt_scores_; }

 private:
  void ScorePrompt(int64_t index, std::span<const float> logits, const std::vector<ScoredToken>& top);

  Runner& runner_;
  Sequence& sequence_;
  Sampler sampler_;
  PlainDecodingOptions options_;
  int64_t proposed_ = 0;  // rows of the proposal under way
  std::optional<ChosenToken> next_;
  std::vector<std::vector<ScoredToken>> step_top_;
  std::vector<std::vector<ScoredToken>> prompt_top_;
  std::vector<ChosenToken> step_scores_;
  std::vector<ChosenToken> prompt_scores_;
};

}  // namespace hone
