// GrammarProcessor: the LogitsProcessor that keeps an answer to a grammar, a schema or an expression.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "language/decoding/constraints/token_masks.h"
#include "language/decoding/logits_processor.h"

namespace hone {

// A token is allowed when its bytes go on with what the grammar has so far, control tokens never, end tokens
// exactly where a sentence may end. What is allowed is a function of the answer in the context alone, so any
// rows may be asked in any order (branches of a draft tree, a prefix after a truncation); how far the answer
// was read last time is kept only to save time.
class GrammarProcessor : public LogitsProcessor {
 public:
  explicit GrammarProcessor(std::shared_ptr<TokenMasks> masks) : masks_(std::move(masks)) {}
  GrammarProcessor(Constraint constraint, std::shared_ptr<const TokenTable> table, std::vector<TokenId> ends)
      : masks_(std::make_shared<TokenMasks>(std::move(constraint), std::move(table), std::move(ends))) {}

  void Apply(const TokenContext& context, TokenScores& scores) override;

  // Whether the answer may end here.
  bool MayEnd(const TokenContext& context);
  // The bytes that have to follow, at most `limit`: a strategy may propose their tokens without asking a
  // model.
  std::string Forced(const TokenContext& context, size_t limit = 256);

 private:
  const ConstraintState& StateAfter(std::span<const TokenId> answer);

  std::shared_ptr<TokenMasks> masks_;
  uint64_t epoch_ = 0;
  std::vector<TokenId> read_;
  std::vector<ConstraintState> states_;  // states_[i]: after i tokens of read_
};

}  // namespace hone
