#include "language/decoding/constraints/token_masks.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace hone {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();
constexpr size_t kMaximumMemory = size_t{96} << 20;

// Bans the tokens of 64 bits that are not set.
void ApplyWord(uint64_t word, float* logits, size_t count) {
  if (word == ~uint64_t{0}) return;
  if (std::popcount(word) >= 32) {
    for (uint64_t left = ~word; left != 0; left &= left - 1) {
      const auto i = static_cast<size_t>(std::countr_zero(left));
      if (i < count) logits[i] = kBanned;
    }
    return;
  }
  float kept[32];
  size_t size = 0;
  for (uint64_t left = word; left != 0; left &= left - 1) kept[size++] = logits[std::countr_zero(left)];
  std::fill(logits, logits + count, kBanned);
  size = 0;
  for (uint64_t left = word; left != 0; left &= left - 1) logits[std::countr_zero(left)] = kept[size++];
}

void SetBit(TokenBits& bits, TokenId id) { bits[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64); }

}  // namespace

TokenMasks::TokenMasks(Constraint constraint, std::shared_ptr<const TokenTable> table,
                       std::vector<TokenId> ends)
    : constraint_(std::move(constraint)), table_(std::move(table)), ends_(std::move(ends)) {
  std::sort(ends_.begin(), ends_.end());
  recognizer_ = std::make_unique<Recognizer>(constraint_.grammar, TokenTable::kHorizon);
  character_tokens_.resize(constraint_.grammar->character_sets().size());
  for (const Constraint::Trigger& trigger : constraint_.triggers) {
    longest_trigger_ = std::max(longest_trigger_, trigger.text.size());
    for (TokenId id = 0; id < table_->size(); ++id) {
      const std::string_view text = table_->Text(id);
      const size_t at = text.find(trigger.text);
      if (at != text.npos && at + trigger.text.size() < text.size()) inside_.push_back(id);
    }
  }
}

TokenMasks::Counts TokenMasks::counts() const {
  Counts counts = counts_;
  counts.states = static_cast<int64_t>(recognizer_->states());
  return counts;
}

bool TokenMasks::IsEnd(TokenId token) const { return std::binary_search(ends_.begin(), ends_.end(), token); }

ConstraintState TokenMasks::Start() {
  ConstraintState state;
  state.free = !constraint_.triggers.empty();
  state.state = recognizer_->start();
  return state;
}

Recognizer::State TokenMasks::Read(Recognizer::State state, std::string_view bytes) {
  for (const char byte : bytes) {
    if (state == Recognizer::kDead) break;
    state = recognizer_->Step(state, static_cast<uint8_t>(byte));
  }
  return state;
}

ConstraintState TokenMasks::Advance(const ConstraintState& state, TokenId token) {
  ConstraintState next = state;
  if (state.ended || state.dead()) return next;
  if (IsEnd(token)) {
    next.ended = state.free || recognizer_->Accepts(state.state);
    if (!next.ended) next.state = Recognizer::kDead;
    return next;
  }
  const bool known = token >= 0 && token < table_->size();
  const std::string_view text = known ? table_->Text(token) : std::string_view();
  if (state.free) return AdvanceFree(state, text);
  next.state = text.empty() ? Recognizer::kDead : Read(state.state, text);
  return next;
}

// `tail` holds the answer so far while it is shorter than the longest trigger, and a zero byte in front of
// its last bytes from then on, so that "only at the start" can be told.
ConstraintState TokenMasks::AdvanceFree(const ConstraintState& state, std::string_view text) {
  ConstraintState next = state;
  next.tail += text;
  size_t first = next.tail.npos, end = 0;
  for (const Constraint::Trigger& trigger : constraint_.triggers) {
    const size_t at = trigger.only_at_start ? (next.tail.starts_with(trigger.text) ? 0 : next.tail.npos)
                                            : next.tail.find(trigger.text);
    if (at < first) {
      first = at;
      end = at + (trigger.consumed ? trigger.text.size() : 0);
    }
  }
  if (first != next.tail.npos) {
    next.free = false;
    next.state = Read(recognizer_->start(), std::string_view(next.tail).substr(end));
    next.tail.clear();
    return next;
  }
  if (next.tail.size() > longest_trigger_) {
    next.tail.replace(0, next.tail.size() - longest_trigger_ + 1, 1, '\0');
  }
  return next;
}

bool TokenMasks::MayEnd(const ConstraintState& state) {
  return state.ended || state.free || (!state.dead() && recognizer_->Accepts(state.state));
}

const TokenMasks::Tokens& TokenMasks::CharacterTokens(int set) {
  auto& tokens = character_tokens_[static_cast<size_t>(set)];
  if (!tokens) {
    tokens = table_->OfCharacters(constraint_.grammar->character_sets()[static_cast<size_t>(set)].set);
  }
  return *tokens;
}

const TokenBits& TokenMasks::ShortMask(Recognizer::State folded) {
  const auto [found, added] = short_masks_.try_emplace(folded);
  TokenBits& bits = found->second;
  if (!added) return bits;
  ++counts_.built;
  const TokenTrie* trie = &table_->short_tokens();
  const Recognizer::CharacterRun run = recognizer_->Run(folded);
  bits.assign((static_cast<size_t>(table_->size()) + 63) / 64, 0);
  if (run.set >= 0) {
    const Tokens& tokens = CharacterTokens(run.set);
    if (run.left >= TokenTable::kHorizon || run.exclusive) trie = &tokens.short_others;
    bits = tokens.short_bits;
    for (const auto& [characters, id] : tokens.short_list) {
      if (characters <= run.left) break;
      bits[static_cast<size_t>(id) / 64] &= ~(uint64_t{1} << (id % 64));
    }
  }
  trie->Walk(
      folded, Recognizer::kDead, stack_,
      [&](Recognizer::State state, uint8_t byte) {
        return recognizer_->Folded(recognizer_->StepCached(state, byte));
      },
      [&](TokenId id) { SetBit(bits, id); });
  return bits;
}

const std::vector<TokenId>& TokenMasks::LongMask(Recognizer::State state) {
  const auto [found, added] = long_masks_.try_emplace(state);
  std::vector<TokenId>& allowed = found->second;
  if (!added) return allowed;
  const TokenTrie* trie = &table_->long_tokens();
  const Recognizer::CharacterRun run = recognizer_->Run(state);
  if (run.set >= 0) {
    const Tokens& tokens = CharacterTokens(run.set);
    for (const auto& [characters, id] : tokens.long_list) {
      if (characters > run.left) break;
      allowed.push_back(id);
    }
    // The short mask has its own of these, unless it stood on another repetition.
    if (recognizer_->Run(recognizer_->Folded(state)).set != run.set) {
      for (const auto& [characters, id] : tokens.wide_list) {
        if (characters <= run.left) allowed.push_back(id);
      }
    }
    if (run.left == kUnbounded || run.exclusive ||
        (!tokens.long_list.empty() && tokens.long_list.back().characters <= run.left)) {
      trie = &tokens.long_others;
    }
  }
  trie->Walk(
      state, Recognizer::kDead, stack_,
      [&](Recognizer::State from, uint8_t byte) { return recognizer_->StepCached(from, byte); },
      [&](TokenId id) { allowed.push_back(id); });
  long_mask_tokens_ += allowed.size();
  return allowed;
}

size_t TokenMasks::memory() const {
  return recognizer_->memory() + long_mask_tokens_ * sizeof(TokenId) + long_masks_.size() * 64 +
         short_masks_.size() * (static_cast<size_t>(table_->size()) / 8 + 64);
}

void TokenMasks::DropIfLarge() {
  if (memory() <= kMaximumMemory) return;
  recognizer_ = std::make_unique<Recognizer>(constraint_.grammar, TokenTable::kHorizon);
  short_masks_.clear();
  long_masks_.clear();
  long_mask_tokens_ = 0;
  ++epoch_;
}

void TokenMasks::Apply(const ConstraintState& state, std::span<float> logits) {
  ++counts_.applied;
  if (state.free) return ApplyFree(state, logits);
  if (state.dead()) return;
  kept_.clear();
  const auto keep = [&](TokenId id) {
    const auto at = static_cast<size_t>(id);
    if (at < logits.size()) kept_.emplace_back(id, logits[at]);
  };
  if (state.ended || recognizer_->Accepts(state.state)) std::for_each(ends_.begin(), ends_.end(), keep);
  if (state.ended) {
    std::fill(logits.begin(), logits.end(), kBanned);
  } else {
    const TokenBits& bits = ShortMask(recognizer_->Folded(state.state));
    const std::vector<TokenId>& long_tokens = LongMask(state.state);
    std::for_each(long_tokens.begin(), long_tokens.end(), keep);
    for (size_t word = 0; word * 64 < logits.size(); ++word) {
      const size_t count = std::min<size_t>(64, logits.size() - word * 64);
      ApplyWord(word < bits.size() ? bits[word] : 0, logits.data() + word * 64, count);
    }
  }
  for (const TokenId end : ends_) {
    if (static_cast<size_t>(end) < logits.size()) logits[static_cast<size_t>(end)] = kBanned;
  }
  for (const auto& [id, logit] : kept_) logits[static_cast<size_t>(id)] = logit;
  DropIfLarge();
}

// Only a token that finishes a trigger and already says how the call begins can be wrong.
void TokenMasks::ApplyFree(const ConstraintState& state, std::span<float> logits) {
  const auto check = [&](TokenId id) {
    const ConstraintState next = AdvanceFree(state, table_->Text(id));
    if (next.dead() && static_cast<size_t>(id) < logits.size()) logits[static_cast<size_t>(id)] = kBanned;
  };
  std::for_each(inside_.begin(), inside_.end(), check);
  for (const Constraint::Trigger& trigger : constraint_.triggers) {
    for (size_t begun = 1; begun < trigger.text.size() && begun <= state.tail.size(); ++begun) {
      if (!state.tail.ends_with(std::string_view(trigger.text).substr(0, begun))) continue;
      const std::string_view rest = std::string_view(trigger.text).substr(begun);
      for (const TokenTrie* trie : {&table_->short_tokens(), &table_->long_tokens()}) {
        const int64_t at = trie->Find(rest);
        if (at < 0) continue;
        const auto& nodes = trie->nodes();
        for (auto i = static_cast<uint32_t>(at) + 1; i < nodes[static_cast<size_t>(at)].end; ++i) {
          for (uint32_t t = 0; t < nodes[i].token_count; ++t) check(trie->tokens()[nodes[i].first_token + t]);
        }
      }
    }
  }
}

std::string TokenMasks::Forced(const ConstraintState& state, size_t limit) {
  std::string bytes;
  if (state.free || state.ended) return bytes;
  Recognizer::State at = state.state;
  while (bytes.size() < limit && at != Recognizer::kDead && !recognizer_->Accepts(at)) {
    const ByteSet next = recognizer_->NextBytes(at);
    if (next.count() != 1) break;
    bytes.push_back(static_cast<char>(next.first()));
    at = recognizer_->Step(at, next.first());
  }
  return bytes;
}

}  // namespace hone
