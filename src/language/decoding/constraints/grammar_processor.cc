#include "language/decoding/constraints/grammar_processor.h"

#include <algorithm>

namespace hone {

const ConstraintState& GrammarProcessor::StateAfter(std::span<const TokenId> answer) {
  if (const uint64_t epoch = masks_->epoch(); states_.empty() || epoch != epoch_) {
    epoch_ = epoch;
    read_.clear();
    states_.assign(1, masks_->Start());
  }
  const auto [known, asked] = std::mismatch(read_.begin(), read_.end(), answer.begin(), answer.end());
  const auto shared = static_cast<size_t>(known - read_.begin());
  if (asked == answer.end()) return states_[answer.size()];
  read_.resize(shared);
  states_.resize(shared + 1);
  for (const TokenId token : answer.subspan(shared)) {
    states_.push_back(masks_->Advance(states_.back(), token));
    read_.push_back(token);
  }
  return states_.back();
}

void GrammarProcessor::Apply(const TokenContext& context, TokenScores& scores) {
  const auto lock = masks_->Lock();
  masks_->Apply(StateAfter(context.answer()), scores.logits());
}

bool GrammarProcessor::MayEnd(const TokenContext& context) {
  const auto lock = masks_->Lock();
  return masks_->MayEnd(StateAfter(context.answer()));
}

std::string GrammarProcessor::Forced(const TokenContext& context, size_t limit) {
  const auto lock = masks_->Lock();
  return masks_->Forced(StateAfter(context.answer()), limit);
}

}  // namespace hone
