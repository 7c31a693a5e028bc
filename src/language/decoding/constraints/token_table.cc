#include "language/decoding/constraints/token_table.h"

#include <algorithm>
#include <array>

#include "core/formats/tokenizer/utf8.h"

namespace hone {
namespace {

constexpr char kControlBegin = '\xFF';
constexpr char kControlEnd = '\xFE';

// Characters of `text` if all of them are in `set`, else 0. `ascii` is the set's first 128.
uint32_t CountCharacters(std::string_view text, const CodePointSet& set, const std::array<bool, 128>& ascii) {
  uint32_t count = 0;
  while (!text.empty()) {
    const auto first = static_cast<uint8_t>(text[0]);
    if (first < 0x80) {
      if (!ascii[first]) return 0;
      text.remove_prefix(1);
    } else {
      const Utf8Unit unit = NextUtf8(text);
      if (unit.kind != Utf8Unit::Kind::kCharacter || !set.Has(unit.code)) return 0;
      text.remove_prefix(unit.length);
    }
    ++count;
  }
  return count;
}

}  // namespace

std::string ControlTokenText(std::string_view name) {
  std::string text(1, kControlBegin);
  text += name;
  text += kControlEnd;
  return text;
}

std::string MarkerText(std::string_view name, const TokenTable* table) {
  std::string control = ControlTokenText(name);
  return table != nullptr && table->Find(control) != kNoToken ? control : std::string(name);
}

TokenTable::TokenTable(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {
  const int64_t vocabulary = tokenizer_->vocabulary_size();
  for (TokenId id = 0; id < vocabulary; ++id) {
    const std::string_view bytes = tokenizer_->TokenBytes(id);
    const auto begin = static_cast<uint32_t>(texts_.size());
    if (tokenizer_->IsControl(id)) {
      if (!bytes.empty()) texts_ += ControlTokenText(bytes);
    } else if (bytes.find(kControlBegin) == bytes.npos && bytes.find(kControlEnd) == bytes.npos) {
      texts_ += bytes;
    }
    const auto length = static_cast<uint32_t>(texts_.size()) - begin;
    spans_.emplace_back(begin, length);
    if (length > 0) sorted_.push_back(id);
  }
  std::sort(sorted_.begin(), sorted_.end(), [&](TokenId a, TokenId b) {
    const int order = Text(a).compare(Text(b));
    return order != 0 ? order < 0 : a < b;
  });
  Spellings short_ones, long_ones;
  for (const TokenId id : sorted_) {
    (Text(id).size() <= kHorizon ? short_ones : long_ones).emplace_back(Text(id), id);
  }
  short_ = TokenTrie(short_ones);
  long_ = TokenTrie(long_ones);
}

TokenId TokenTable::Find(std::string_view text) const {
  const auto found = std::lower_bound(sorted_.begin(), sorted_.end(), text,
                                      [&](TokenId id, std::string_view wanted) { return Text(id) < wanted; });
  return found != sorted_.end() && Text(*found) == text ? *found : kNoToken;
}

std::shared_ptr<const TokenTable::CharacterTokens> TokenTable::OfCharacters(const CodePointSet& set) const {
  const std::lock_guard lock(mutex_);
  auto& known = by_characters_[set];
  if (known) return known;
  std::array<bool, 128> ascii{};
  for (size_t code = 0; code < ascii.size(); ++code) ascii[code] = set.Has(static_cast<char32_t>(code));
  auto tokens = std::make_shared<CharacterTokens>();
  tokens->short_bits.assign((spans_.size() + 63) / 64, 0);
  Spellings short_others, long_others;
  for (const TokenId id : sorted_) {
    const std::string_view text = Text(id);
    const uint32_t characters = CountCharacters(text, set, ascii);
    if (characters == 0) {
      (text.size() <= kHorizon ? short_others : long_others).emplace_back(text, id);
    } else if (characters <= kHorizon) {
      tokens->short_bits[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
      tokens->short_list.push_back({characters, id});
      if (text.size() > kHorizon) tokens->wide_list.push_back({characters, id});
    } else {
      tokens->long_list.push_back({characters, id});
    }
  }
  std::stable_sort(tokens->short_list.begin(), tokens->short_list.end(),
                   [](const auto& a, const auto& b) { return a.characters > b.characters; });
  std::stable_sort(tokens->long_list.begin(), tokens->long_list.end(),
                   [](const auto& a, const auto& b) { return a.characters < b.characters; });
  tokens->short_others = TokenTrie(short_others);
  tokens->long_others = TokenTrie(long_others);
  known = std::move(tokens);
  return known;
}

}  // namespace hone
