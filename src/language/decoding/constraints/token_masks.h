// Which tokens of a vocabulary a grammar allows next. One object serves any number of answers under the same
// grammar: what one of them worked out, the others look up.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "language/decoding/constraints/constraint.h"
#include "language/decoding/constraints/recognizer.h"
#include "language/decoding/constraints/token_table.h"

namespace hone {

// Where an answer stands.
struct ConstraintState {
  Recognizer::State state = Recognizer::kDead;  // in the grammar, unless free
  bool free = false;                            // no trigger has come yet: anything may
  bool ended = false;                           // an end token has come
  std::string tail;  // while free: the last bytes, in which a trigger may have begun
  bool dead() const { return !free && !ended && state == Recognizer::kDead; }
};

class TokenMasks {
 public:
  // `ends`: the tokens that end an answer, sorted; allowed exactly where the grammar may end.
  TokenMasks(Constraint constraint, std::shared_ptr<const TokenTable> table, std::vector<TokenId> ends);

  // Whoever calls any of the other functions holds this, so that answers of several threads may share what is
  // remembered. States hold as long as epoch() stays the same; Apply changes it when what was remembered has
  // grown too large and is dropped.
  std::unique_lock<std::mutex> Lock() { return std::unique_lock(mutex_); }
  uint64_t epoch() const { return epoch_; }
  ConstraintState Start();
  ConstraintState Advance(const ConstraintState& state, TokenId token);
  bool MayEnd(const ConstraintState& state);
  // Sets the logits of all tokens that must not come to minus infinity. A dead state (rows behind a draft's
  // wrong token) leaves them as they are.
  void Apply(const ConstraintState& state, std::span<float> logits);
  // What has to come, byte for byte: up to the first place where there is a choice, at most `limit` bytes.
  std::string Forced(const ConstraintState& state, size_t limit);

  struct Counts {
    int64_t applied = 0;  // masks asked for
    int64_t built = 0;    // masks that were not remembered
    int64_t states = 0;
  };
  Counts counts() const;
  // Bytes of what is remembered.
  size_t memory() const;

 private:
  using Tokens = TokenTable::CharacterTokens;
  bool IsEnd(TokenId token) const;
  ConstraintState AdvanceFree(const ConstraintState& state, std::string_view text);
  Recognizer::State Read(Recognizer::State state, std::string_view bytes);
  const TokenBits& ShortMask(Recognizer::State folded);
  const std::vector<TokenId>& LongMask(Recognizer::State state);
  const Tokens& CharacterTokens(int set);
  void ApplyFree(const ConstraintState& state, std::span<float> logits);
  void DropIfLarge();

  Constraint constraint_;
  std::shared_ptr<const TokenTable> table_;
  std::vector<TokenId> ends_;
  std::vector<TokenId> inside_;  // tokens that hold a whole trigger and go on behind it
  size_t longest_trigger_ = 0;

  std::mutex mutex_;
  std::unique_ptr<Recognizer> recognizer_;
  std::unordered_map<Recognizer::State, TokenBits> short_masks_;
  std::unordered_map<Recognizer::State, std::vector<TokenId>> long_masks_;
  std::vector<std::shared_ptr<const Tokens>> character_tokens_;
  std::vector<Recognizer::State> stack_;
  std::vector<std::pair<TokenId, float>> kept_;
  size_t long_mask_tokens_ = 0;
  uint64_t epoch_ = 0;
  Counts counts_;
};

}  // namespace hone
