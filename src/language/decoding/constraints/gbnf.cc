#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "core/base/printable.h"
#include "core/formats/tokenizer/utf8.h"
#include "language/decoding/constraints/compile.h"
#include "language/decoding/constraints/grammar_builder.h"

namespace hone {
namespace {

constexpr int kMaximumDepth = 200;
constexpr int kMaximumQuantifiers = 4;  // behind one element
constexpr uint32_t kMaximumCount = 1'000'000'000;

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class GbnfParser {
 public:
  explicit GbnfParser(std::string_view text) : text_(text) {}

  Result<Constraint> Compile() {
    Skip(/*newlines=*/true);
    while (at_ < text_.size()) {
      HONE_CHECK_OK(ParseRule());
      Skip(/*newlines=*/true);
    }
    for (const auto& [name, rule] : rules_) {
      if (rule.defined) continue;
      at_ = rule.first_use;
      return Wrong("found the name \"{}\", expected a rule of that name somewhere", name);
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) return Wrong("no rule is called root, expected one");
    Constraint constraint;
    HONE_TRY(constraint.grammar, builder_.Finish(root->second.symbol, "grammar"));
    return constraint;
  }

 private:
  struct Rule {
    Symbol symbol = Symbol::Rule(0);
    bool defined = false;
    size_t first_use = 0;
  };

  template <class... Args>
  tl::unexpected<Error> Wrong(fmt::format_string<Args...> text, Args&&... args) const {
    const std::string_view before = text_.substr(0, std::min(at_, text_.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const size_t newline = before.rfind('\n');
    const size_t column = before.size() - (newline == before.npos ? 0 : newline + 1) + 1;
    return BadInput("grammar", fmt::format("line {}, column {}", line, column), "{}",
                    Printable(fmt::format(text, std::forward<Args>(args)...), 200));
  }

  char Peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool AtEnd() const { return at_ >= text_.size(); }

  // White space and comments.
  void Skip(bool newlines) {
    while (!AtEnd()) {
      const char c = Peek();
      if (c == '#') {
        while (!AtEnd() && Peek() != '\n' && Peek() != '\r') ++at_;
      } else if (c == ' ' || c == '\t' || (newlines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        break;
      }
    }
  }

  std::string_view TakeName() {
    const size_t begin = at_;
    while (!AtEnd() && IsNameByte(Peek())) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  // Whether the next lines begin with NAME ::= (or nothing is left).
  bool StartsRule() {
    const size_t begin = at_;
    Skip(true);
    const bool end = AtEnd();
    const bool name = !TakeName().empty();
    Skip(false);
    const bool defines = text_.substr(std::min(at_, text_.size())).starts_with("::=");
    at_ = begin;
    return end || (name && defines);
  }

  Rule& Find(std::string_view name, size_t use) {
    const auto [found, added] = rules_.try_emplace(std::string(name));
    if (added) found->second = {builder_.Declare(), false, use};
    return found->second;
  }

  Result<void> ParseRule() {
    const size_t begin = at_;
    const std::string_view name = TakeName();
    if (name.empty()) return Wrong("expected the name of a rule");
    Skip(false);
    if (!text_.substr(at_).starts_with("::=")) return Wrong("expected ::= behind the rule's name");
    at_ += 3;
    Skip(true);
    HONE_TRY(const Symbol body, ParseAlternatives(0));
    Rule& rule = Find(name, begin);
    if (rule.defined) {
      at_ = begin;
      return Wrong("the rule {} is defined twice", name);
    }
    rule.defined = true;
    builder_.Define(rule.symbol, body);
    if (!AtEnd() && !StartsRule()) return Wrong("expected the end of the rule, found \"{}\"", Peek());
    return {};
  }

  Result<Symbol> ParseAlternatives(int depth) {
    if (depth > kMaximumDepth)
      return Wrong("groups are nested deeper than {}, expected fewer", kMaximumDepth);
    std::vector<Symbol> alternatives;
    while (true) {
      HONE_TRY(alternatives.emplace_back(builder_.Empty()), ParseSequence(depth));
      if (Peek() != '|') break;
      ++at_;
      Skip(true);
    }
    return builder_.Choice(std::move(alternatives));
  }

  Result<Symbol> ParseSequence(int depth) {
    std::vector<Symbol> parts;
    while (true) {
      Skip(depth > 0);
      // At the top a rule ends with its line, unless the next one goes on with it.
      if (depth == 0 && (Peek() == '\n' || Peek() == '\r')) {
        if (StartsRule()) break;
        Skip(true);
      }
      if (AtEnd() || Peek() == '|' || Peek() == ')') break;
      HONE_TRY(const Symbol element, ParseElement(depth));
      HONE_TRY(parts.emplace_back(element), ParseQuantifiers(element));
      if (builder_.size() > GrammarBuilder::kMaximumSize) return Wrong("the grammar is too large");
    }
    return builder_.Sequence(std::move(parts));
  }

  Result<Symbol> ParseElement(int depth) {
    const char c = Peek();
    if (c == '"') return ParseLiteral();
    if (c == '[') return ParseClass();
    if (c == '.') {
      ++at_;
      return builder_.Characters(CodePointSet::All());
    }
    if (c == '(') {
      const size_t begin = at_;
      ++at_;
      HONE_TRY(const Symbol inside, ParseAlternatives(depth + 1));
      if (Peek() != ')') {
        at_ = begin;
        return Wrong("a ( without its )");
      }
      ++at_;
      return inside;
    }
    if (IsNameByte(c)) {
      const size_t begin = at_;
      const std::string_view name = TakeName();
      return Find(name, begin).symbol;
    }
    if (c == '*' || c == '+' || c == '?' || c == '{') {
      return Wrong("found the quantifier {}, expected something to repeat before it", c);
    }
    if (c == '<' || c == '!') return Wrong("found a reference to a token, which is not supported");
    return Wrong("found \"{}\", expected a literal, a class, a group or a rule's name", c);
  }

  std::optional<uint32_t> TakeNumber() {
    uint64_t value = 0;
    const size_t begin = at_;
    while (Peek() >= '0' && Peek() <= '9') {
      value =
          std::min<uint64_t>(value * 10 + static_cast<uint64_t>(Peek() - '0'), uint64_t{kMaximumCount} + 1);
      ++at_;
    }
    if (at_ == begin) return std::nullopt;
    return static_cast<uint32_t>(value);
  }

  Result<Symbol> ParseQuantifiers(Symbol element) {
    for (int count = 0;; ++count) {
      if (count > kMaximumQuantifiers)
        return Wrong("found more than {} quantifiers in a row", kMaximumQuantifiers);
      switch (Peek()) {
        case '*':
          ++at_;
          element = builder_.Repeat(element, 0, kUnbounded);
          break;
        case '+':
          ++at_;
          element = builder_.Repeat(element, 1, kUnbounded);
          break;
        case '?':
          ++at_;
          element = builder_.Optional(element);
          break;
        case '{': {
          HONE_TRY(element, ParseBraces(element));
          break;
        }
        default:
          return element;
      }
    }
  }

  Result<Symbol> ParseBraces(Symbol element) {
    ++at_;
    Skip(false);
    const auto min = TakeNumber();
    Skip(false);
    auto max = min;
    if (Peek() == ',') {
      ++at_;
      Skip(false);
      max = TakeNumber();
      if (!max) max = kUnbounded;
      Skip(false);
    }
    if ((!min && max == std::nullopt) || Peek() != '}') return Wrong("expected {{n}}, {{n,}} or {{n,m}}");
    ++at_;
    const uint32_t low = min.value_or(0);
    if (low > kMaximumCount || (*max != kUnbounded && *max > kMaximumCount)) {
      return Wrong("a count is too large, expected at most {}", kMaximumCount);
    }
    if (low > *max) return Wrong("found {{{},{}}}, expected the smaller count first", low, *max);
    return builder_.Repeat(element, low, *max);
  }

  Result<char32_t> TakeHex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = Peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return Wrong("expected {} hexadecimal digits", digits);
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
  }

  // One character of a literal or a class, escapes resolved.
  Result<char32_t> TakeCharacter() {
    if (Peek() == '\\') {
      ++at_;
      const char c = Peek();
      ++at_;
      switch (c) {
        case 'x':
          return TakeHex(2);
        case 'u':
          return TakeHex(4);
        case 'U':
          return TakeHex(8);
        case 't':
          return U'\t';
        case 'r':
          return U'\r';
        case 'n':
          return U'\n';
        case '\\':
        case '"':
        case '[':
        case ']':
        case '-':
        case '^':
        case '/':
          return static_cast<char32_t>(c);
        default:
          at_ -= 2;
          return Wrong("found an escape that does not exist");
      }
    }
    const Utf8Unit unit = NextUtf8(text_.substr(at_));
    if (unit.kind != Utf8Unit::Kind::kCharacter) return Wrong("not UTF-8");
    at_ += unit.length;
    return unit.code;
  }

  Result<Symbol> ParseLiteral() {
    const size_t begin = at_;
    ++at_;
    std::string bytes;
    while (Peek() != '"') {
      if (AtEnd()) {
        at_ = begin;
        return Wrong("a literal does not end, expected \"");
      }
      HONE_TRY(const char32_t code, TakeCharacter());
      if (CodePointSet::One(code).empty()) return Wrong("found U+{:04X}, expected a character", +code);
      AppendUtf8(code, bytes);
    }
    ++at_;
    return builder_.Literal(bytes);
  }

  Result<Symbol> ParseClass() {
    const size_t begin = at_;
    ++at_;
    const bool negated = Peek() == '^';
    if (negated) ++at_;
    CodePointSet set;
    while (Peek() != ']') {
      if (AtEnd()) {
        at_ = begin;
        return Wrong("a [ without its ]");
      }
      HONE_TRY(const char32_t first, TakeCharacter());
      char32_t last = first;
      if (Peek() == '-' && Peek(1) != ']' && at_ + 1 < text_.size()) {
        ++at_;
        HONE_TRY(last, TakeCharacter());
      }
      if (last < first) return Wrong("a range in brackets runs backwards");
      set.Add(first, last);
    }
    ++at_;
    if (set.empty() && !negated) return Wrong("empty brackets, which match nothing");
    return builder_.Characters(negated ? set.Complement() : set);
  }

  std::string_view text_;
  size_t at_ = 0;
  GrammarBuilder builder_;
  std::map<std::string, Rule, std::less<>> rules_;
};

}  // namespace

Result<Constraint> CompileGbnf(std::string_view grammar) { return GbnfParser(grammar).Compile(); }

}  // namespace hone
