#include "core/formats/template/lexer.h"

#include <algorithm>
#include <array>

#include "core/formats/template/failure.h"
#include "core/formats/template/unicode.h"

namespace hone::chat {

namespace {

// \r\n and \r become \n; one newline at the very end is dropped.
std::string NormalizeNewlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

bool IsNameByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z');
}

bool IsDigitByte(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(NormalizeNewlines(source)), rest_(source_) {}

  std::vector<Token> Run() {
    while (at_ < source_.size()) Root();
    Add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  bool At(std::string_view text) const { return rest_.substr(at_).starts_with(text); }

  void Add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void Advance(size_t count) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + count), '\n'));
    if (count > 0) line_starting_ = source_[at_ + count - 1] == '\n';
    at_ += count;
  }

  void SkipSpace() { Advance(LeadingSpace(rest_.substr(at_))); }

  // Emits the template's own text [at_, end), which stands before a tag. `sign` is the tag's '-' or '+' or 0.
  void Data(size_t end, char sign, bool is_variable) {
    std::string_view text = rest_.substr(at_, end - at_);
    size_t keep = text.size();
    if (sign == '-') {
      keep -= TrailingSpace(text);
    } else if (sign != '+' && !is_variable) {
      const size_t newline = text.rfind('\n');
      const size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
      if ((line_start > 0 || line_starting_) &&
          LeadingSpace(text.substr(line_start)) == text.size() - line_start) {
        keep = line_start;
      }
    }
    if (keep > 0) Add(TokenKind::kData, std::string(text.substr(0, keep)));
    Advance(end - at_);
  }

  // After the name of a raw block's tag: "-%}" with the white space after it, "%}" or, for the end, "+%}".
  // Returns the bytes of the tag's end at `at`, or 0.
  size_t TagEnd(size_t at, std::string_view close, bool trims_newline) const {
    const std::string_view text = rest_.substr(at);
    if (text.starts_with("-") && text.substr(1).starts_with(close)) {
      return 1 + close.size() + LeadingSpace(text.substr(1 + close.size()));
    }
    if (trims_newline && text.starts_with("+") && text.substr(1).starts_with(close)) return 1 + close.size();
    if (!text.starts_with(close)) return 0;
    return close.size() + (trims_newline && text.substr(close.size()).starts_with("\n") ? 1 : 0);
  }

  // Bytes of "{% raw %}" (or endraw) at `at`, or 0.
  size_t RawTag(size_t at, std::string_view name, bool is_end) const {
    std::string_view text = rest_.substr(at);
    if (!text.starts_with("{%")) return 0;
    size_t size = 2;
    if (size < text.size() && (text[size] == '-' || text[size] == '+')) ++size;
    size += LeadingSpace(text.substr(size));
    if (!text.substr(size).starts_with(name)) return 0;
    size += name.size();
    size += LeadingSpace(text.substr(size));
    const size_t close = TagEnd(at + size, "%}", is_end);
    return close == 0 ? 0 : size + close;
  }

  char Sign(size_t tag) const {
    const char c = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    return c == '-' || c == '+' ? c : '\0';
  }

  void Root() {
    size_t tag = at_;
    while (true) {
      tag = rest_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= rest_.size()) {
        Add(TokenKind::kData, std::string(rest_.substr(at_)));
        Advance(rest_.size() - at_);
        return;
      }
      const char next = rest_[tag + 1];
      if (next == '%' || next == '{' || next == '#') break;
      ++tag;
    }
    const char next = rest_[tag + 1];
    const size_t raw = next == '%' ? RawTag(tag, "raw", false) : 0;
    const char sign = Sign(tag);
    Data(tag, sign, next == '{');
    if (raw > 0) {
      Advance(raw);
      Raw();
      return;
    }
    if (next == '#') {
      Comment(sign != 0);
      return;
    }
    Add(next == '%' ? TokenKind::kBlockBegin : TokenKind::kVariableBegin, "");
    Advance(2 + (sign != 0 ? 1 : 0));
    Inside(next == '%');
  }

  void Comment(bool signed_begin) {
    const int line = line_;
    for (size_t end = rest_.find("#}", at_ + 2 + (signed_begin ? 1 : 0)); end != std::string_view::npos;) {
      size_t close = end;
      const size_t first = at_ + 2 + (signed_begin ? 1 : 0);
      if (close > first && (rest_[close - 1] == '-' || rest_[close - 1] == '+')) --close;
      Advance(close - at_);
      Advance(TagEnd(close, "#}", true));
      return;
    }
    FailAt(line, "missing end of comment tag");
  }

  void Raw() {
    const int line = line_;
    for (size_t tag = rest_.find("{%", at_); tag != std::string_view::npos; tag = rest_.find("{%", tag + 1)) {
      const size_t size = RawTag(tag, "endraw", true);
      if (size == 0) continue;
      Data(tag, Sign(tag), false);
      Advance(size);
      return;
    }
    FailAt(line, "missing end of raw block");
  }

  // Tokens up to the end of the tag.
  void Inside(bool block) {
    std::string brackets;
    while (true) {
      if (brackets.empty()) {
        if (const size_t close = block ? TagEnd(at_, "%}", true) : VariableEnd()) {
          Add(block ? TokenKind::kBlockEnd : TokenKind::kVariableEnd, "");
          Advance(close);
          return;
        }
      }
      if (at_ >= source_.size()) FailAt(line_, "unexpected end of template inside a tag");
      if (const size_t space = LeadingSpace(rest_.substr(at_))) {
        Advance(space);
        continue;
      }
      const char c = source_[at_];
      if (IsDigitByte(c)) {
        Number();
      } else if (IsNameByte(c)) {
        size_t size = 1;
        while (at_ + size < source_.size() && IsNameByte(source_[at_ + size])) ++size;
        Add(TokenKind::kName, source_.substr(at_, size));
        Advance(size);
      } else if (c == '"' || c == '\'') {
        String(c);
      } else {
        Operator(brackets);
      }
    }
  }

  size_t VariableEnd() const {
    const std::string_view text = rest_.substr(at_);
    if (text.starts_with("-}}")) return 3 + LeadingSpace(text.substr(3));
    return text.starts_with("}}") ? 2 : 0;
  }

  // Digits with single underscores between them, from `at`: how many bytes.
  template <class Accept>
  size_t Digits(size_t at, Accept accept) const {
    size_t size = 0;
    while (at + size < source_.size()) {
      if (accept(source_[at + size])) {
        ++size;
      } else if (size > 0 && source_[at + size] == '_' && at + size + 1 < source_.size() &&
                 accept(source_[at + size + 1])) {
        size += 2;
      } else {
        break;
      }
    }
    return size;
  }

  void Number() {
    size_t size = Digits(at_, IsDigitByte);
    bool is_float = false;
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    const auto exponent = [&](size_t from) -> size_t {
      if (from >= source_.size() || (source_[from] != 'e' && source_[from] != 'E')) return 0;
      size_t sign =
          from + 1 < source_.size() && (source_[from + 1] == '+' || source_[from + 1] == '-') ? 1 : 0;
      const size_t digits = Digits(from + 1 + sign, IsDigitByte);
      return digits == 0 ? 0 : 1 + sign + digits;
    };
    if (!after_dot) {
      if (at_ + size < source_.size() && source_[at_ + size] == '.') {
        if (const size_t fraction = Digits(at_ + size + 1, IsDigitByte)) {
          size += 1 + fraction;
          is_float = true;
        }
      }
      if (const size_t more = exponent(at_ + size)) {
        size += more;
        is_float = true;
      }
    }
    if (!is_float && source_[at_] == '0' && at_ + 1 < source_.size()) size = PrefixedInteger(size);
    std::string text = source_.substr(at_, size);
    std::erase(text, '_');
    Add(is_float ? TokenKind::kFloat : TokenKind::kInteger, std::move(text));
    Advance(size);
  }

  // 0b, 0o, 0x, or zeros alone: a decimal number does not start with 0.
  size_t PrefixedInteger(size_t decimal_size) const {
    const char prefix = static_cast<char>(source_[at_ + 1] | 0x20);
    const auto digits = [&](auto accept) -> size_t {
      size_t skip = 2;
      if (at_ + 2 < source_.size() && source_[at_ + 2] == '_') skip = 3;
      const size_t size = Digits(at_ + skip, accept);
      return size == 0 ? 1 : skip + size;
    };
    if (prefix == 'b') return digits([](char c) { return c == '0' || c == '1'; });
    if (prefix == 'o') return digits([](char c) { return c >= '0' && c <= '7'; });
    if (prefix == 'x') {
      return digits([](char c) {
        const char lower = static_cast<char>(c | 0x20);
        return IsDigitByte(c) || (lower >= 'a' && lower <= 'f');
      });
    }
    return std::min(decimal_size, Digits(at_, [](char c) { return c == '0'; }));
  }

  void String(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) FailAt(line_, "a string has no closing quote");
    Add(TokenKind::kString, Unescape(rest_.substr(at_ + 1, end - at_ - 1)));
    Advance(end + 1 - at_);
  }

  // Python's escapes; an unknown one stays as it is written.
  std::string Unescape(std::string_view text) const {
    std::string out;
    for (size_t i = 0; i < text.size();) {
      if (text[i] != '\\' || i + 1 >= text.size()) {
        out += text[i++];
        continue;
      }
      const char c = text[i + 1];
      constexpr std::string_view kNames = "abfnrtv\\'\"";
      constexpr std::string_view kBytes = "\a\b\f\n\r\t\v\\'\"";
      if (const size_t known = kNames.find(c); known != std::string_view::npos) {
        out += kBytes[known];
        i += 2;
      } else if (c == '\n') {
        i += 2;
      } else if (c >= '0' && c <= '7') {
        char32_t value = 0;
        size_t j = i + 1;
        while (j < text.size() && j < i + 4 && text[j] >= '0' && text[j] <= '7')
          value = value * 8 + (text[j++] - '0');
        AppendUtf8(out, value);
        i = j;
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        AppendUtf8(out, HexValue(text.substr(i + 2, digits), digits));
        i += 2 + digits;
      } else if (c == 'N') {
        FailAt(line_, "named characters (\\N) in a string are not supported");
      } else {
        out += '\\';
        ++i;
      }
    }
    return out;
  }

  char32_t HexValue(std::string_view digits, size_t expected) const {
    char32_t value = 0;
    bool valid = digits.size() == expected;
    for (char c : digits) {
      const char lower = static_cast<char>(c | 0x20);
      const bool letter = lower >= 'a' && lower <= 'f';
      valid = valid && (IsDigitByte(c) || letter);
      value = value * 16 + static_cast<char32_t>(letter ? lower - 'a' + 10 : c - '0');
    }
    if (!valid || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
      FailAt(line_, "a string has a broken hexadecimal escape");
    }
    return value;
  }

  void Operator(std::string& brackets) {
    constexpr std::array<std::string_view, 6> kTwo = {"==", "!=", ">=", "<=", "//", "**"};
    constexpr std::string_view kOne = "+-/*%~[](){}><=.:|,;";
    for (std::string_view two : kTwo) {
      if (!At(two)) continue;
      Add(TokenKind::kOperator, std::string(two));
      Advance(2);
      return;
    }
    const char c = source_[at_];
    if (kOne.find(c) == std::string_view::npos) FailAt(line_, "unexpected character '{}'", c);
    if (c == '(' || c == '[' || c == '{') brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty()) FailAt(line_, "unexpected '{}'", c);
      if (brackets.back() != c) FailAt(line_, "unexpected '{}', expected '{}'", c, brackets.back());
      brackets.pop_back();
    }
    Add(TokenKind::kOperator, std::string(1, c));
    Advance(1);
  }

  std::string source_;
  std::string_view rest_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(std::string_view source) { return Lexer(source).Run(); }

}  // namespace hone::chat
