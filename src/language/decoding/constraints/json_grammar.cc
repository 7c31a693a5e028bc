#include "language/decoding/constraints/json_grammar.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

constexpr uint32_t kMostIndentation = 64;
constexpr uint32_t kMostTabs = 16;
// What a number without bounds may have: nothing that a model can run on with, nothing that overflows a
// double.
constexpr uint32_t kMostDigits = 40;
constexpr uint32_t kMostFractionDigits = 40;

constexpr std::string_view kShortEscapes = "\"\\bfnrt";
constexpr std::string_view kShortEscaped = "\"\\\b\f\n\r\t";

}  // namespace

CodePointSet JsonGrammar::Unescaped() {
  return CodePointSet::All().Without(CodePointSet::Of({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}));
}

Symbol JsonGrammar::Space() {
  if (space_) return *space_;
  const Symbol indentation = builder_.Choice({builder_.Repeat(builder_.Literal(" "), 0, kMostIndentation),
                                              builder_.Repeat(builder_.Literal("\t"), 1, kMostTabs)});
  space_ = builder_.Optional(
      builder_.Choice({builder_.Literal(" "), builder_.Sequence({builder_.Literal("\n"), indentation})}));
  return *space_;
}

Symbol JsonGrammar::SpaceAfterKey() {
  if (!space_after_key_) space_after_key_ = builder_.Optional(builder_.Literal(" "));
  return *space_after_key_;
}

Symbol JsonGrammar::AnyEscape() {
  ByteSet one;
  for (const char c : std::string_view("\"\\/bfnrt")) one.Add(static_cast<uint8_t>(c));
  ByteSet hex = ByteSet::Range('0', '9');
  hex |= ByteSet::Range('a', 'f');
  hex |= ByteSet::Range('A', 'F');
  ByteSet not_d = ByteSet::Range('0', '9');
  for (const char c : std::string_view("abcefABCEF")) not_d.Add(static_cast<uint8_t>(c));
  ByteSet d, high, low;
  for (const char c : std::string_view("dD")) d.Add(static_cast<uint8_t>(c));
  for (const char c : std::string_view("89abAB")) high.Add(static_cast<uint8_t>(c));
  for (const char c : std::string_view("cdefCDEF")) low.Add(static_cast<uint8_t>(c));
  const Symbol h = builder_.Bytes(hex);
  const Symbol u = builder_.Literal("u");
  const Symbol backslash = builder_.Literal("\\");
  const Symbol plain = builder_.Sequence({u, builder_.Bytes(not_d), h, h, h});
  const Symbol below =
      builder_.Sequence({u, builder_.Bytes(d), builder_.Bytes(ByteSet::Range('0', '7')), h, h});
  const Symbol pair = builder_.Sequence({u, builder_.Bytes(d), builder_.Bytes(high), h, h, backslash, u,
                                         builder_.Bytes(d), builder_.Bytes(low), h, h});
  return builder_.Sequence({backslash, builder_.Choice({builder_.Bytes(one), plain, below, pair})});
}

Symbol JsonGrammar::Character(const CodePointSet& set) {
  if (const auto known = characters_.find(set); known != characters_.end()) return known->second;
  std::vector<Symbol> spellings;
  const CodePointSet plain = set.Intersect(Unescaped());
  if (!plain.empty()) spellings.push_back(builder_.Characters(plain));
  if (set == CodePointSet::All()) {
    spellings.push_back(AnyEscape());
  } else {
    std::vector<std::string> escapes;
    for (size_t i = 0; i < kShortEscaped.size(); ++i) {
      if (set.Has(static_cast<char32_t>(kShortEscaped[i]))) escapes.push_back({'\\', kShortEscapes[i]});
    }
    for (char32_t code = 0; code < 0x20; ++code) {
      const bool is_short = kShortEscaped.find(static_cast<char>(code)) != kShortEscaped.npos;
      if (!is_short && set.Has(code)) escapes.push_back(fmt::format("\\u{:04x}", +code));
    }
    if (!escapes.empty()) spellings.push_back(builder_.OneOf(std::move(escapes)));
  }
  const Symbol symbol = builder_.Choice(std::move(spellings));
  characters_.emplace(set, symbol);
  return symbol;
}

Symbol JsonGrammar::String(Symbol content) {
  const Symbol quote = builder_.Literal("\"");
  return builder_.Sequence({quote, content, quote});
}

Symbol JsonGrammar::StringOfLength(uint32_t min, uint32_t max) {
  if (min == 0 && max == kUnbounded && string_) return *string_;
  const Symbol symbol = String(builder_.Repeat(Character(CodePointSet::All()), min, max));
  if (min == 0 && max == kUnbounded) string_ = symbol;
  return symbol;
}

Symbol JsonGrammar::StringBut(std::vector<std::u32string> words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  if (words.empty()) return AnyString();
  const Symbol anything = builder_.Repeat(Character(CodePointSet::All()), 0, kUnbounded);
  // The words begin to end share their first `depth` characters: what else may follow those.
  const auto rest = [&](const auto& self, size_t begin, size_t end, size_t depth) -> Symbol {
    std::vector<Symbol> ways;
    if (words[begin].size() == depth) {
      ++begin;
    } else {
      ways.push_back(builder_.Empty());
    }
    CodePointSet next;
    while (begin < end) {
      size_t same = begin;
      while (same < end && words[same][depth] == words[begin][depth]) ++same;
      const CodePointSet one = CodePointSet::One(words[begin][depth]);
      next.Add(one);
      ways.push_back(builder_.Sequence({Character(one), self(self, begin, same, depth + 1)}));
      begin = same;
    }
    ways.push_back(builder_.Sequence({Character(CodePointSet::All().Without(next)), anything}));
    return builder_.Choice(std::move(ways));
  };
  return String(rest(rest, 0, words.size(), 0));
}

Symbol JsonGrammar::AnyInteger() {
  if (integer_) return *integer_;
  const Symbol nonzero = builder_.Sequence(
      {builder_.Bytes(ByteSet::Range('1', '9')), builder_.Repeat(Digit(), 0, kMostDigits - 1)});
  integer_ =
      builder_.Choice({builder_.Literal("0"), nonzero, builder_.Sequence({builder_.Literal("-"), nonzero})});
  return *integer_;
}

Symbol JsonGrammar::AnyNumber() {
  if (number_) return *number_;
  const Symbol whole = builder_.Choice(
      {builder_.Literal("0"), builder_.Sequence({builder_.Bytes(ByteSet::Range('1', '9')),
                                                 builder_.Repeat(Digit(), 0, kMostDigits - 1)})});
  const Symbol fraction =
      builder_.Sequence({builder_.Literal("."), builder_.Repeat(Digit(), 1, kMostFractionDigits)});
  ByteSet e, sign;
  for (const char c : std::string_view("eE")) e.Add(static_cast<uint8_t>(c));
  for (const char c : std::string_view("+-")) sign.Add(static_cast<uint8_t>(c));
  // e0 to e249, of which none takes 40 digits beyond the largest double.
  const Symbol power = builder_.Choice(
      {builder_.Repeat(Digit(), 1, 2),
       builder_.Sequence({builder_.Bytes(ByteSet::Range('0', '1')), Digit(), Digit()}),
       builder_.Sequence({builder_.Literal("2"), builder_.Bytes(ByteSet::Range('0', '4')), Digit()})});
  const Symbol exponent =
      builder_.Sequence({builder_.Bytes(e), builder_.Optional(builder_.Bytes(sign)), power});
  number_ = builder_.Sequence({builder_.Optional(builder_.Literal("-")), whole, builder_.Optional(fraction),
                               builder_.Optional(exponent)});
  return *number_;
}

Symbol JsonGrammar::Pair(Symbol key, Symbol value) {
  return builder_.Sequence({key, builder_.Literal(":"), SpaceAfterKey(), value});
}

Symbol JsonGrammar::AnyValue() {
  if (value_) return *value_;
  value_ = builder_.Declare();
  builder_.Define(
      *value_, builder_.Choice({AnyObject(), AnyArray(), AnyString(), AnyNumber(), builder_.Literal("true"),
                                builder_.Literal("false"), builder_.Literal("null")}));
  return *value_;
}

Symbol JsonGrammar::AnyObject() {
  if (object_) return *object_;
  object_ = builder_.Declare();
  const Symbol pair = Pair(AnyString(), AnyValue());
  const Symbol more = builder_.Sequence({builder_.Literal(","), Space(), pair});
  builder_.Define(*object_, builder_.Sequence({builder_.Literal("{"), Space(),
                                               builder_.Optional(builder_.Sequence(
                                                   {pair, builder_.Repeat(more, 0, kUnbounded), Space()})),
                                               builder_.Literal("}")}));
  return *object_;
}

Symbol JsonGrammar::AnyArray() {
  if (array_) return *array_;
  array_ = builder_.Declare();
  const Symbol more = builder_.Sequence({builder_.Literal(","), Space(), AnyValue()});
  builder_.Define(
      *array_,
      builder_.Sequence(
          {builder_.Literal("["), Space(),
           builder_.Optional(builder_.Sequence({AnyValue(), builder_.Repeat(more, 0, kUnbounded), Space()})),
           builder_.Literal("]")}));
  return *array_;
}

Symbol JsonGrammar::Literal(const nlohmann::ordered_json& value) {
  if (!value.is_structured()) return builder_.Literal(JsonText(value));
  const bool is_object = value.is_object();
  std::vector<Symbol> parts{builder_.Literal(is_object ? "{" : "["), Space()};
  bool first = true;
  for (const auto& [key, member] : value.items()) {
    if (!first) parts.insert(parts.end(), {builder_.Literal(","), Space()});
    first = false;
    parts.push_back(is_object ? Pair(builder_.Literal(JsonText(key)), Literal(member)) : Literal(member));
  }
  if (!first) parts.push_back(Space());
  parts.push_back(builder_.Literal(is_object ? "}" : "]"));
  return builder_.Sequence(std::move(parts));
}

std::string JsonText(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace hone
