// What masks need to know of a vocabulary, worked out once for a tokenizer and shared by all constraints.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"
#include "language/decoding/constraints/code_point_set.h"
#include "language/decoding/constraints/token_trie.h"

namespace hone {

// A control token inside a grammar: its name between two bytes that no UTF-8 text has.
std::string ControlTokenText(std::string_view name);

class TokenTable;
// How a grammar spells a marker such as <tool_call>: as the control token where the vocabulary has one of
// that name, else as text. `table` may be null.
std::string MarkerText(std::string_view name, const TokenTable* table);

// One bit a token.
using TokenBits = std::vector<uint64_t>;

class TokenTable {
 public:
  // Tokens of at most this many bytes (of which, if all of it is characters of one set, this many characters)
  // are short: masks over them are shared by states that differ far away only.
  static constexpr uint32_t kHorizon = 16;

  explicit TokenTable(std::shared_ptr<const Tokenizer> tokenizer);

  int64_t size() const { return static_cast<int64_t>(spans_.size()); }
  // As a grammar sees it; empty: the token stands for nothing that a grammar could allow.
  std::string_view Text(TokenId id) const {
    const auto [begin, length] = spans_[static_cast<size_t>(id)];
    return std::string_view(texts_).substr(begin, length);
  }
  // The token of that text, or kNoToken.
  TokenId Find(std::string_view text) const;
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const TokenTrie& short_tokens() const { return short_; }
  const TokenTrie& long_tokens() const { return long_; }

  // The tokens that are spelled with characters of one set alone, and all others.
  struct CharacterTokens {
    struct Counted {
      uint32_t characters = 0;
      TokenId id = kNoToken;
    };
    TokenBits short_bits;             // at most kHorizon characters
    std::vector<Counted> short_list;  // the same, by falling count
    std::vector<Counted> long_list;   // the rest, by rising count
    std::vector<Counted> wide_list;   // of the short ones, those of more than kHorizon bytes
    TokenTrie short_others;           // at most kHorizon bytes
    TokenTrie long_others;
  };
  // Worked out at the first call for a set (some milliseconds), from then on a look-up.
  std::shared_ptr<const CharacterTokens> OfCharacters(const CodePointSet& set) const;

 private:
  using Spellings = std::vector<std::pair<std::string_view, TokenId>>;

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string texts_;
  std::vector<std::pair<uint32_t, uint32_t>> spans_;
  std::vector<TokenId> sorted_;  // by text; without those that stand for nothing
  TokenTrie short_;
  TokenTrie long_;
  mutable std::mutex mutex_;
  mutable std::map<CodePointSet, std::shared_ptr<const CharacterTokens>> by_characters_;
};

}  // namespace hone
