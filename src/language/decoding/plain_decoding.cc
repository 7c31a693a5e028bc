#include "language/decoding/plain_decoding.h"

#include <algorithm>

#include "core/kernels/elementwise.h"
#include "language/decoding/long_rope.h"

namespace hone {

PlainDecoding::PlainDecoding(Runner& runner, Sequence& sequence, Sampler sampler,
                             const PlainDecodingOptions& options)
    : runner_(runner), sequence_(sequence), sampler_(std::move(sampler)), options_(options) {
  sequence_.seed = sampler_.seed();
}

int64_t PlainDecoding::pending_rows() const {
  return static_cast<int64_t>(sequence_.tokens.size()) - sequence_.cached;
}

Result<void> PlainDecoding::Propose(int64_t max_rows, Proposal& proposal) {
  const auto length = static_cast<int64_t>(sequence_.tokens.size());
  HONE_CHECK_OK(ChooseRopeFactors(runner_.model().config(), length, sequence_));
  proposed_ = std::min(max_rows, length - sequence_.cached);
  next_.reset();
  step_top_.clear();
  step_scores_.clear();
  const int64_t end = sequence_.cached + proposed_;
  const bool reads_prompt =
      (options_.prompt_top || options_.prompt_scores) && sequence_.cached < sequence_.prompt_tokens;
  proposal.target.runner = &runner_;
  AppendRows(sequence_, sequence_.cached, end, end == length, reads_prompt, proposal.batch);
  return {};
}

Result<void> PlainDecoding::Receive(int64_t row, std::span<float> logits) {
  if (row == 0) {  // the step is run once more
    step_top_.clear();
    step_scores_.clear();
  }
  const int64_t index = sequence_.cached + row;
  const bool last = index + 1 == static_cast<int64_t>(sequence_.tokens.size());
  std::vector<ScoredToken> top;
  if (options_.top > 0) LargestLogits(logits, options_.top, top);
  // Rows that are read again, after their pages were given up, are there already.
  const auto known = static_cast<int64_t>(prompt_top_.size());
  if (options_.prompt_top && index >= known && index < sequence_.prompt_tokens) step_top_.push_back(top);
  if (options_.prompt_scores) ScorePrompt(index, logits, top);
  if (!last) return {};
  const double log_mass = options_.log_probabilities ? LogSumExp(logits) : 0.0;
  std::vector<float> raw;
  if (options_.log_probabilities) raw.assign(logits.begin(), logits.end());
  HONE_TRY(const TokenId id, sampler_.Choose({sequence_.tokens, sequence_.prompt_tokens}, logits));
  ChosenToken chosen;
  chosen.id = id;
  chosen.top = std::move(top);
  if (options_.log_probabilities) chosen.log_probability = raw[static_cast<size_t>(id)] - log_mass;
  chosen.log_mass = log_mass;
  next_ = std::move(chosen);
  return {};
}

void PlainDecoding::ScorePrompt(int64_t index, std::span<const float> logits,
                                const std::vector<ScoredToken>& top) {
  const auto known = static_cast<int64_t>(prompt_scores_.size());
  if (index < known || index + 1 >= sequence_.prompt_tokens) return;
  ChosenToken token;
  token.id = sequence_.tokens[static_cast<size_t>(index + 1)];
  token.log_mass = LogSumExp(logits);
  token.log_probability = logits[static_cast<size_t>(token.id)] - token.log_mass;
  token.top = top;
  step_scores_.push_back(std::move(token));
}

Result<void> PlainDecoding::Commit(std::vector<ChosenToken>& chosen) {
  sequence_.cached += proposed_;
  proposed_ = 0;
  prompt_top_.insert(prompt_top_.end(), std::make_move_iterator(step_top_.begin()),
                     std::make_move_iterator(step_top_.end()));
  step_top_.clear();
  prompt_scores_.insert(prompt_scores_.end(), std::make_move_iterator(step_scores_.begin()),
                        std::make_move_iterator(step_scores_.end()));
  step_scores_.clear();
  if (!next_) return {};
  sampler_.Commit(next_->id);
  sequence_.tokens.push_back(next_->id);
  chosen.push_back(std::move(*next_));
  next_.reset();
  return {};
}

void PlainDecoding::RollBack(int64_t tokens) {
  sampler_.RollBack(tokens);
  sequence_.tokens.resize(sequence_.tokens.size() - static_cast<size_t>(tokens));
}

}  // namespace hone
