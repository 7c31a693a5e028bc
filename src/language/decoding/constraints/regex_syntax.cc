#include "language/decoding/constraints/regex_syntax.h"

#include <optional>
#include <string>

#include "core/base/printable.h"
#include "core/formats/tokenizer/utf8.h"
#include "language/decoding/constraints/grammar.h"

namespace hone {
namespace {

using Kind = RegexNode::Kind;

constexpr char32_t kNoCharacter = 0xFFFFFFFF;
constexpr uint32_t kMaximumCount = 1'000'000'000;

RegexNode Characters(CodePointSet set) {
  RegexNode node;
  node.kind = Kind::kCharacters;
  node.set = std::move(set);
  return node;
}

int HexValue(char32_t c) {
  if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<int>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<int>(c - 'A' + 10);
  return -1;
}

class RegexParser {
 public:
  explicit RegexParser(std::u32string text) : text_(std::move(text)) {}

  Result<RegexNode> Parse() {
    HONE_TRY(RegexNode node, ParseChoice(0));
    if (at_ < text_.size()) return Wrong("a ) without its (");
    return node;
  }

 private:
  char32_t Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : kNoCharacter;
  }
  bool Take(char32_t c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }
  template <class... Args>
  tl::unexpected<Error> Wrong(fmt::format_string<Args...> text, Args&&... args) const {
    return BadInput("regular expression", fmt::format("character {}", at_ + 1), "{}",
                    fmt::format(text, std::forward<Args>(args)...));
  }
  tl::unexpected<Error> Unsupported(std::string_view what) const {
    return Wrong("found {}, which no grammar can express", what);
  }

  Result<RegexNode> ParseChoice(int depth) {
    if (depth > kMaximumRegexDepth) {
      return Wrong("groups are nested deeper than {}, expected fewer", kMaximumRegexDepth);
    }
    RegexNode choice;
    choice.kind = Kind::kChoice;
    do {
      HONE_TRY(RegexNode sequence, ParseSequence(depth));
      choice.children.push_back(std::move(sequence));
    } while (Take('|'));
    if (choice.children.size() == 1) return RegexNode(std::move(choice.children[0]));
    return choice;
  }

  Result<RegexNode> ParseSequence(int depth) {
    RegexNode sequence;
    while (at_ < text_.size() && Peek() != '|' && Peek() != ')') {
      HONE_TRY(RegexNode atom, ParseAtom(depth));
      HONE_TRY(RegexNode term, ParseQuantifier(std::move(atom)));
      sequence.children.push_back(std::move(term));
    }
    return sequence;
  }

  Result<RegexNode> ParseAtom(int depth) {
    const char32_t c = Peek();
    RegexNode node;
    switch (c) {
      case '^':
      case '$':
        ++at_;
        node.kind = c == '^' ? Kind::kStart : Kind::kEnd;
        return node;
      case '(':
        return ParseGroup(depth);
      case '[':
        return ParseClass();
      case '.':
        ++at_;
        return Characters(CodePointSet::Of({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).Complement());
      case '*':
      case '+':
      case '?':
        return Wrong("found the quantifier {}, expected something to repeat before it", static_cast<char>(c));
      case '\\': {
        ++at_;
        HONE_TRY(CodePointSet set, ParseEscape(false));
        return Characters(std::move(set));
      }
      default:
        ++at_;
        return Characters(CodePointSet::One(c));
    }
  }

  Result<RegexNode> ParseGroup(int depth) {
    ++at_;
    if (Take('?')) {
      if (Peek() == '=' || Peek() == '!')
        return Unsupported(Peek() == '=' ? "lookahead (?=" : "lookahead (?!");
      if (Peek() == '<' && (Peek(1) == '=' || Peek(1) == '!')) {
        return Unsupported(Peek(1) == '=' ? "lookbehind (?<=" : "lookbehind (?<!");
      }
      if (Peek() == 'P' && Peek(1) == '<') ++at_;
      if (Take('<')) {
        while (at_ < text_.size() && Peek() != '>') ++at_;
        if (!Take('>')) return Wrong("the name of a group does not end, expected >");
      } else if (!Take(':')) {
        return Unsupported("a group with flags or conditions (?");
      }
    }
    HONE_TRY(RegexNode inside, ParseChoice(depth + 1));
    if (!Take(')')) return Wrong("a ( without its )");
    return inside;
  }

  std::optional<uint32_t> ParseNumber() {
    uint64_t value = 0;
    const size_t begin = at_;
    while (Peek() >= '0' && Peek() <= '9') {
      value = std::min<uint64_t>(value * 10 + (Peek() - '0'), uint64_t{kMaximumCount} + 1);
      ++at_;
    }
    if (at_ == begin) return std::nullopt;
    return static_cast<uint32_t>(value);
  }

  // {n}, {n,} or {n,m}; nothing, and nothing taken, where the brace is a plain character.
  Result<std::optional<std::pair<uint32_t, uint32_t>>> ParseBraces() {
    using Bounds = std::pair<uint32_t, uint32_t>;
    const size_t begin = at_;
    ++at_;
    const auto min = ParseNumber();
    auto max = min;
    if (min && Take(',')) max = Peek() == '}' ? kUnbounded : ParseNumber();
    if (!min || !max || !Take('}')) {
      at_ = begin;
      return std::optional<Bounds>();
    }
    if (*min > kMaximumCount || (*max != kUnbounded && *max > kMaximumCount)) {
      return Wrong("a count is too large, expected at most {}", kMaximumCount);
    }
    if (*min > *max) return Wrong("found {{{},{}}}, expected the smaller count first", *min, *max);
    return std::optional<Bounds>({*min, *max});
  }

  Result<RegexNode> ParseQuantifier(RegexNode atom) {
    std::optional<std::pair<uint32_t, uint32_t>> bounds;
    if (Take('*')) {
      bounds = {0, kUnbounded};
    } else if (Take('+')) {
      bounds = {1, kUnbounded};
    } else if (Take('?')) {
      bounds = {0, 1};
    } else if (Peek() == '{') {
      HONE_TRY(bounds, ParseBraces());
    }
    if (!bounds) return atom;
    if (atom.kind == Kind::kStart || atom.kind == Kind::kEnd) {
      return Wrong("found a quantifier behind an anchor, expected something to repeat before it");
    }
    Take('?');  // a lazy quantifier matches the same texts
    if (Peek() == '+') return Unsupported("a possessive quantifier");
    if (Peek() == '*' || Peek() == '?') return Wrong("found two quantifiers in a row, expected one");
    if (Peek() == '{') {
      HONE_TRY(const auto second, ParseBraces());
      if (second) return Wrong("found two quantifiers in a row, expected one");
    }
    RegexNode repeat;
    repeat.kind = Kind::kRepeat;
    repeat.min = bounds->first;
    repeat.max = bounds->second;
    repeat.children.push_back(std::move(atom));
    return repeat;
  }

  Result<char32_t> ParseHex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = HexValue(Peek());
      if (digit < 0) return Wrong("expected {} hexadecimal digits", digits);
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    return value;
  }

  // Behind \u: four digits, two such escapes for one character beyond U+FFFF, or digits in braces.
  Result<char32_t> ParseUnicode() {
    if (Take('{')) {
      char32_t value = 0;
      const size_t begin = at_;
      for (; HexValue(Peek()) >= 0 && value <= 0x10FFFF; ++at_) {
        value = value * 16 + static_cast<char32_t>(HexValue(Peek()));
      }
      if (at_ == begin || value > 0x10FFFF || !Take('}')) return Wrong("\\u{{: expected a code point and }}");
      return value;
    }
    HONE_TRY(const char32_t first, ParseHex(4));
    if (first < 0xD800 || first > 0xDBFF || Peek() != '\\' || Peek(1) != 'u') return first;
    at_ += 2;
    HONE_TRY(const char32_t second, ParseHex(4));
    if (second < 0xDC00 || second > 0xDFFF) return Wrong("half of a surrogate pair, expected both halves");
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  }

  // What stands behind a backslash.
  Result<CodePointSet> ParseEscape(bool in_class) {
    const char32_t c = Peek();
    if (c == kNoCharacter) return Wrong("the expression ends in a backslash");
    ++at_;
    switch (c) {
      case 'd':
        return RegexDigits();
      case 'D':
        return RegexDigits().Complement();
      case 'w':
        return RegexWordCharacters();
      case 'W':
        return RegexWordCharacters().Complement();
      case 's':
        return RegexSpaces();
      case 'S':
        return RegexSpaces().Complement();
      case 't':
        return CodePointSet::One('\t');
      case 'n':
        return CodePointSet::One('\n');
      case 'r':
        return CodePointSet::One('\r');
      case 'f':
        return CodePointSet::One('\f');
      case 'v':
        return CodePointSet::One('\v');
      case 'b':
        if (in_class) return CodePointSet::One('\b');
        return Unsupported("the word boundary \\b");
      case 'B':
        return Unsupported("the word boundary \\B");
      case 'k':
        return Unsupported("the back reference \\k");
      case 'p':
      case 'P':
        return Unsupported("the Unicode property \\p");
      case '0':
        if (Peek() >= '0' && Peek() <= '9') return Wrong("found an octal escape, expected \\x or \\u");
        return CodePointSet::One(0);
      case 'c': {
        const char32_t letter = Peek() | 0x20;
        if (letter < 'a' || letter > 'z') return Wrong("expected a letter behind \\c");
        ++at_;
        return CodePointSet::One(letter - 'a' + 1);
      }
      case 'x': {
        HONE_TRY(const char32_t code, ParseHex(2));
        return CodePointSet::One(code);
      }
      case 'u': {
        HONE_TRY(const char32_t code, ParseUnicode());
        const CodePointSet set = CodePointSet::One(code);
        if (set.empty()) return Wrong("half of a surrogate pair, expected a character");
        return set;
      }
      default:
        break;
    }
    if (c >= '1' && c <= '9')
      return Unsupported(fmt::format("the back reference \\{}", static_cast<char>(c)));
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      return Wrong("found \\{}, expected an escape that exists", static_cast<char>(c));
    }
    return CodePointSet::One(c);  // \/ \- \. and so on
  }

  Result<CodePointSet> ParseClassMember() {
    if (Take('\\')) return ParseEscape(true);
    return CodePointSet::One(text_[at_++]);
  }

  Result<RegexNode> ParseClass() {
    const size_t begin = at_;
    ++at_;
    const bool negated = Take('^');
    CodePointSet set;
    while (Peek() != ']') {
      if (at_ >= text_.size()) {
        at_ = begin;
        return Wrong("a [ without its ]");
      }
      HONE_TRY(const CodePointSet first, ParseClassMember());
      if (Peek() == '-' && Peek(1) != ']' && Peek(1) != kNoCharacter) {
        ++at_;
        HONE_TRY(const CodePointSet last, ParseClassMember());
        if (first.count() == 1 && last.count() == 1) {
          const char32_t low = first.ranges()[0].first, high = last.ranges()[0].first;
          if (low > high) return Wrong("a range in brackets runs backwards");
          set.Add(low, high);
        } else {  // as in [\w-.]: three members
          set.Add(first);
          set.Add('-', '-');
          set.Add(last);
        }
        continue;
      }
      set.Add(first);
    }
    ++at_;
    if (set.empty() && !negated) return Wrong("empty brackets, which match nothing");
    return Characters(negated ? set.Complement() : std::move(set));
  }

  std::u32string text_;
  size_t at_ = 0;
};

}  // namespace

CodePointSet RegexDigits() { return CodePointSet::Of({{'0', '9'}}); }

CodePointSet RegexWordCharacters() {
  return CodePointSet::Of({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
}

CodePointSet RegexSpaces() {
  return CodePointSet::Of({{'\t', '\r'},
                           {' ', ' '},
                           {0xA0, 0xA0},
                           {0x1680, 0x1680},
                           {0x2000, 0x200A},
                           {0x2028, 0x2029},
                           {0x202F, 0x202F},
                           {0x205F, 0x205F},
                           {0x3000, 0x3000},
                           {0xFEFF, 0xFEFF}});
}

Result<RegexNode> ParseRegex(std::string_view expression) {
  std::u32string text;
  for (size_t at = 0; at < expression.size();) {
    const Utf8Unit unit = NextUtf8(expression.substr(at));
    if (unit.kind != Utf8Unit::Kind::kCharacter) {
      return BadInput("regular expression", fmt::format("byte {}", at), "not UTF-8");
    }
    text.push_back(unit.code);
    at += unit.length;
  }
  return RegexParser(std::move(text)).Parse();
}

}  // namespace hone
