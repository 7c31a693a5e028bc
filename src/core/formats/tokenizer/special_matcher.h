// Finds tokens that are matched whole in a text before it is split: control tokens, user-defined and added
// ones.
#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"

namespace hone {

struct SpecialToken {
  std::string_view text = {};  // must outlive the matcher
  TokenId id = kNoToken;
  bool needs_template = false;  // matched only where no byte is literal: control tokens
  bool strip_left = false;      // white space before it belongs to the match
  bool strip_right = false;     // white space after it belongs to the match
  bool single_word = false;     // matched only where no letter, digit or underscore touches it
};

struct SpecialMatch {
  size_t begin = 0;  // white space included
  size_t end = 0;
  TokenId id = kNoToken;
};

class SpecialMatcher {
 public:
  void Build(std::vector<SpecialToken> tokens);
  bool empty() const { return tokens_.empty(); }

  // All matches from left to right, at each place the longest (Aho-Corasick's leftmost-longest). `literal` as
  // in Tokenizer::Encode. White space is what C calls isspace.
  void Find(std::string_view text, std::span<const ByteSpan> literal,
            std::vector<SpecialMatch>& matches) const;

 private:
  const SpecialToken* LongestAt(std::string_view text, size_t at, std::span<const ByteSpan> literal) const;
  bool Fits(const SpecialToken& token, std::string_view text, size_t at,
            std::span<const ByteSpan> literal) const;

  std::vector<SpecialToken> tokens_;  // sorted by text
  std::bitset<65536> starts_;  // the first two bytes of some token (any second byte where it has one byte)
};

}  // namespace hone
