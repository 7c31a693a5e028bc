#include "core/formats/tokenizer/special_matcher.h"

#include <algorithm>

#include "core/formats/tokenizer/unicode_classes.h"
#include "core/formats/tokenizer/utf8.h"

namespace hone {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool WordTouches(std::string_view text, size_t begin, size_t end) {
  if (end < text.size() && IsWordCharacter(NextUtf8(text.substr(end)).code)) return true;
  size_t at = begin;
  while (at > 0 && begin - at < 4) {
    --at;
    if ((static_cast<uint8_t>(text[at]) & 0xC0) != 0x80)
      return IsWordCharacter(NextUtf8(text.substr(at)).code);
  }
  return false;
}

}  // namespace

void SpecialMatcher::Build(std::vector<SpecialToken> tokens) {
  tokens_ = std::move(tokens);
  std::erase_if(tokens_, [](const SpecialToken& token) { return token.text.empty(); });
  std::sort(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) { return a.text < b.text; });
  starts_.reset();
  for (const SpecialToken& token : tokens_) {
    const size_t first = static_cast<uint8_t>(token.text[0]) << 8;
    if (token.text.size() > 1) {
      starts_.set(first | static_cast<uint8_t>(token.text[1]));
    } else {
      for (size_t second = 0; second < 256; ++second) starts_.set(first | second);
    }
  }
}

bool SpecialMatcher::Fits(const SpecialToken& token, std::string_view text, size_t at,
                          std::span<const ByteSpan> literal) const {
  const size_t end = at + token.text.size();
  if (token.needs_template) {
    const auto after = std::upper_bound(literal.begin(), literal.end(), at,
                                        [](size_t byte, const ByteSpan& span) { return byte < span.end; });
    if (after != literal.end() && after->begin < end) return false;
  }
  return !token.single_word || !WordTouches(text, at, end);
}

const SpecialToken* SpecialMatcher::LongestAt(std::string_view text, size_t at,
                                              std::span<const ByteSpan> literal) const {
  // [first, last): the tokens that agree with the text in `depth` bytes. Those of exactly that length come
  // first.
  auto first = tokens_.begin(), last = tokens_.end();
  const SpecialToken* best = nullptr;
  for (size_t depth = 0; first != last; ++depth) {
    if (first->text.size() == depth) {
      if (Fits(*first, text, at, literal)) best = &*first;
      ++first;
    }
    if (at + depth == text.size()) break;
    const uint8_t byte = static_cast<uint8_t>(text[at + depth]);
    const auto below = [&](const SpecialToken& token, uint8_t b) {
      return static_cast<uint8_t>(token.text[depth]) < b;
    };
    const auto above = [&](uint8_t b, const SpecialToken& token) {
      return b < static_cast<uint8_t>(token.text[depth]);
    };
    first = std::lower_bound(first, last, byte, below);
    last = std::upper_bound(first, last, byte, above);
  }
  return best;
}

void SpecialMatcher::Find(std::string_view text, std::span<const ByteSpan> literal,
                          std::vector<SpecialMatch>& matches) const {
  matches.clear();
  if (tokens_.empty()) return;
  size_t done = 0;  // bytes that matches have used
  for (size_t at = 0; at < text.size();) {
    const size_t second = at + 1 < text.size() ? static_cast<uint8_t>(text[at + 1]) : 0;
    if (!starts_.test((static_cast<size_t>(static_cast<uint8_t>(text[at])) << 8) | second) &&
        at + 1 < text.size()) {
      ++at;
      continue;
    }
    const SpecialToken* token = LongestAt(text, at, literal);
    if (token == nullptr) {
      ++at;
      continue;
    }
    SpecialMatch match{at, at + token->text.size(), token->id};
    while (token->strip_left && match.begin > done && IsSpace(text[match.begin - 1])) --match.begin;
    while (token->strip_right && match.end < text.size() && IsSpace(text[match.end])) ++match.end;
    matches.push_back(match);
    at = done = match.end;
  }
}

}  // namespace hone
