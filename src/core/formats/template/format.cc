#include "core/formats/template/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/formats/template/evaluator.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"
#include "core/formats/template/text_operations.h"
#include "core/formats/template/unicode.h"

namespace hone::chat {

namespace {

// Wider fields and longer fractions are refused.
constexpr int64_t kMaximumWidth = 1'000'000;
constexpr int64_t kMaximumPrecision = 300;

struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';
  bool alternate = false;
  bool grouping = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

int64_t ReadNumber(std::string_view& rest, int64_t limit) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error == std::errc::result_out_of_range || value > limit) Fail("a format's number exceeds {}", limit);
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  return value;
}

bool StartsWithDigit(std::string_view text) { return !text.empty() && text[0] >= '0' && text[0] <= '9'; }

Spec ParseSpec(std::string_view rest) {
  const std::string whole(rest);
  Spec spec;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  const size_t fill = rest.empty() ? 0 : DecodeAt(rest, 0).size;
  if (fill > 0 && rest.size() > fill && is_align(rest[fill])) {
    spec.fill = std::string(rest.substr(0, fill));
    spec.align = rest[fill];
    rest.remove_prefix(fill + 1);
  } else if (!rest.empty() && is_align(rest[0])) {
    spec.align = rest[0];
    rest.remove_prefix(1);
  }
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-' || rest[0] == ' ')) {
    spec.sign = rest[0];
    rest.remove_prefix(1);
  }
  if (rest.starts_with("#")) {
    spec.alternate = true;
    rest.remove_prefix(1);
  }
  if (rest.starts_with("0")) {
    if (spec.align == '\0') {
      spec.fill = '0';
      spec.align = '=';
    }
    rest.remove_prefix(1);
  }
  if (StartsWithDigit(rest)) spec.width = ReadNumber(rest, kMaximumWidth);
  if (rest.starts_with(",")) {
    spec.grouping = true;
    rest.remove_prefix(1);
  }
  if (rest.starts_with(".")) {
    rest.remove_prefix(1);
    if (!StartsWithDigit(rest)) Fail("Format specifier missing precision");
    spec.precision = ReadNumber(rest, kMaximumPrecision);
  }
  if (!rest.empty()) {
    spec.type = rest[0];
    rest.remove_prefix(1);
  }
  if (!rest.empty()) Fail("Invalid format specifier '{}'", whole);
  return spec;
}

std::string GroupThousands(std::string digits) {
  size_t whole = 0;
  while (whole < digits.size() && digits[whole] >= '0' && digits[whole] <= '9') ++whole;
  for (size_t at = whole; at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string IntegerDigits(uint64_t magnitude, char type, bool alternate) {
  switch (type) {
    case 'x':
      return fmt::format("{}{:x}", alternate ? "0x" : "", magnitude);
    case 'X':
      return fmt::format("{}{:X}", alternate ? "0X" : "", magnitude);
    case 'o':
      return fmt::format("{}{:o}", alternate ? "0o" : "", magnitude);
    case 'b':
      return fmt::format("{}{:b}", alternate ? "0b" : "", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

std::string FloatDigits(double magnitude, char type, int64_t precision, bool alternate) {
  const int digits = precision < 0 ? 6 : static_cast<int>(precision);
  if (!std::isfinite(magnitude)) return std::isnan(magnitude) ? "nan" : "inf";
  switch (type) {
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", magnitude, digits);
    case 'e':
      return fmt::format("{:.{}e}", magnitude, digits);
    case 'E':
      return fmt::format("{:.{}E}", magnitude, digits);
    case '%':
      return fmt::format("{:.{}f}%", magnitude * 100, digits);
    case 'g':
      return alternate ? fmt::format("{:#.{}g}", magnitude, digits)
                       : fmt::format("{:.{}g}", magnitude, digits);
    case 'G':
      return fmt::format("{:.{}G}", magnitude, digits);
    default:
      break;
  }
  if (precision < 0) return FloatRepr(magnitude);
  std::string text = fmt::format("{:.{}g}", magnitude, digits);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

// Pads `text`; `sign_size` bytes at its front stay before '=' padding.
void AppendPadded(Evaluator& evaluator, TextBuilder& out, const Text& text, const Spec& spec,
                  char default_align, size_t sign_size, bool tainted) {
  const int64_t missing = std::max<int64_t>(0, spec.width - text.length());
  evaluator.ChargeRepeat(missing, spec.fill.size());
  const auto pad = [&](int64_t count) {
    for (int64_t i = 0; i < count; ++i) out.Append(spec.fill, tainted);
  };
  const char align = spec.align != '\0' ? spec.align : default_align;
  const int64_t before = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  pad(before);
  if (align == '=') {
    out.Append(text, 0, sign_size);
    pad(missing);
    out.Append(text, sign_size, text.bytes().size());
    return;
  }
  out.Append(text);
  pad(missing - before);
}

Text FormatNumber(Evaluator& evaluator, const Value& value, const Spec& spec) {
  const bool tainted = value.tainted();
  const bool integral =
      value.IsIntegral() &&
      (spec.type == '\0' || std::string_view("dxXobn").find(spec.type) != std::string_view::npos);
  if (value.Is(Kind::kFloat) && spec.type != '\0' &&
      std::string_view("dxXobnsc").find(spec.type) != std::string_view::npos) {
    Fail("Unknown format code '{}' for object of type 'float'", spec.type);
  }
  if (spec.type != '\0' && std::string_view("dxXobnfFeEgG%").find(spec.type) == std::string_view::npos) {
    Fail("Unknown format code '{}' for object of type '{}'", spec.type, TypeName(value));
  }
  bool negative = false;
  std::string digits;
  if (integral) {
    negative = value.integer() < 0;
    const auto bits = static_cast<uint64_t>(value.integer());
    digits = IntegerDigits(negative ? 0 - bits : bits, spec.type, spec.alternate);
  } else {
    const double number = value.number();
    negative = std::signbit(number) && !std::isnan(number);
    digits = FloatDigits(std::fabs(number), spec.type, spec.precision, spec.alternate);
  }
  if (spec.grouping) digits = GroupThousands(std::move(digits));
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  TextBuilder number;
  number.Append(sign + digits, tainted);
  TextBuilder out;
  AppendPadded(evaluator, out, number.Take(), spec, '>', sign.size(), tainted);
  return out.Take();
}

}  // namespace

Text FormatValue(Evaluator& evaluator, const Value& value, std::string_view spec_text) {
  if (spec_text.empty()) return ToText(evaluator, value);
  if (value.Is(Kind::kUndefined) || !(value.IsNumber() || value.Is(Kind::kString))) {
    Fail("unsupported format string passed to {}.__format__", TypeName(value));
  }
  const Spec spec = ParseSpec(spec_text);
  if (value.IsNumber()) return FormatNumber(evaluator, value, spec);
  if (spec.type != '\0' && spec.type != 's')
    Fail("Unknown format code '{}' for object of type 'str'", spec.type);
  if (spec.align == '=' && spec.fill != "0") Fail("'=' alignment not allowed in string format specifier");
  Text text = value.text();
  if (spec.precision >= 0 && spec.precision < text.length())
    text = text.Slice(0, text.Offset(spec.precision));
  TextBuilder out;
  Spec adjusted = spec;
  if (adjusted.align == '=') adjusted.align = '<';
  AppendPadded(evaluator, out, text, adjusted, '<', 0, text.tainted());
  return out.Take();
}

namespace {

class PercentFormatter {
 public:
  PercentFormatter(Evaluator& evaluator, const Value& format, const Value& values)
      : evaluator_(evaluator), format_(format.text()), values_(values), escapes_(format.is_markup()) {}

  Text Run() {
    const std::string_view bytes = format_.bytes();
    size_t at = 0;
    while (at < bytes.size()) {
      const size_t percent = bytes.find('%', at);
      if (percent == std::string_view::npos) break;
      out_.Append(format_, at, percent);
      at = Directive(percent + 1);
      evaluator_.ChargeBytes(out_.size() > 4096 ? out_.size() / 64 : 0);
    }
    out_.Append(format_, at, bytes.size());
    // Whatever has items other than a tuple or a string need not be used up.
    const bool mapping = values_.Is(Kind::kDict) || values_.Is(Kind::kList) || values_.Is(Kind::kRange);
    const size_t given = values_.Is(Kind::kTuple) ? values_.items().size() : 1;
    if (!mapping && used_ < given) Fail("not all arguments converted during string formatting");
    return out_.Take();
  }

 private:
  Value Next() {
    const bool tuple = values_.Is(Kind::kTuple);
    if (used_ >= (tuple ? values_.items().size() : 1)) Fail("not enough arguments for format string");
    return tuple ? values_.items()[used_++] : (++used_, values_);
  }

  int64_t StarOrNumber(std::string_view& rest, int64_t limit) {
    if (!rest.starts_with("*")) return ReadNumber(rest, limit);
    rest.remove_prefix(1);
    const Value value = Next();
    if (!value.IsIntegral() || escapes_) Fail("* wants int");
    if (value.integer() > limit || value.integer() < 0) Fail("a format's number exceeds {}", limit);
    return value.integer();
  }

  // One directive whose text starts at `at`, after the percent sign; returns where it ends.
  size_t Directive(size_t at) {
    std::string_view rest = format_.bytes().substr(at);
    const auto position = [&] { return format_.bytes().size() - rest.size(); };
    Value keyed;
    if (rest.starts_with("(")) {
      const size_t close = rest.find(')');
      if (close == std::string_view::npos) Fail("incomplete format key");
      if (!values_.Is(Kind::kDict)) Fail("format requires a mapping");
      const Value* found = values_.As<DictObject>().Find(rest.substr(1, close - 1));
      if (!found) Fail("format key '{}' is missing", rest.substr(1, close - 1));
      keyed = *found;
      rest.remove_prefix(close + 1);
    }
    Spec spec;
    bool zero = false;
    for (; !rest.empty() && std::string_view("-+ #0").find(rest[0]) != std::string_view::npos;
         rest.remove_prefix(1)) {
      if (rest[0] == '-') spec.align = '<';
      if (rest[0] == '+' || (rest[0] == ' ' && spec.sign != '+')) spec.sign = rest[0];
      if (rest[0] == '#') spec.alternate = true;
      if (rest[0] == '0') zero = true;
    }
    if (StartsWithDigit(rest) || rest.starts_with("*")) spec.width = StarOrNumber(rest, kMaximumWidth);
    if (rest.starts_with(".")) {
      rest.remove_prefix(1);
      spec.precision =
          StartsWithDigit(rest) || rest.starts_with("*") ? StarOrNumber(rest, kMaximumPrecision) : 0;
    }
    if (rest.empty()) Fail("incomplete format");
    const char type = rest[0];
    rest.remove_prefix(1);
    if (type == '%') {
      out_.Append("%", format_.IsTainted(at - 1, at));
      return position();
    }
    Append(keyed.Is(Kind::kMissing) ? Next() : keyed, spec, zero, type);
    return position();
  }

  void Append(const Value& value, Spec spec, bool zero, char type) {
    if (type == 's' || type == 'r' || type == 'a') {
      TextBuilder text;
      if (type == 's' && escapes_) {
        text.Append(EscapedText(evaluator_, value));
      } else if (type == 's') {
        AppendString(evaluator_, text, value);
      } else {
        AppendRepr(evaluator_, text, value);
      }
      Text made = text.Take();
      if (type != 's' && escapes_) made = EscapeHtml(evaluator_, made);
      if (spec.precision >= 0 && spec.precision < made.length())
        made = made.Slice(0, made.Offset(spec.precision));
      AppendPadded(evaluator_, out_, made, spec, '>', 0, made.tainted());
      return;
    }
    if (escapes_ && (type == 'c' || type == 'x' || type == 'X' || type == 'o')) {
      Fail("%{} format: an integer is required, not _MarkupEscapeHelper", type);
    }
    if (type == 'c' && value.IsIntegral()) {
      if (value.integer() < 0 || value.integer() > 0x10FFFF) Fail("%c arg not in range(0x110000)");
      std::string bytes;
      AppendUtf8(bytes, static_cast<char32_t>(value.integer()));
      AppendPadded(evaluator_, out_, Text(bytes, {}), spec, '>', 0, false);
      return;
    }
    if (std::string_view("diuxXofFeEgG").find(type) == std::string_view::npos) {
      Fail("unsupported format character '{}'", type);
    }
    if (!value.IsNumber()) Fail("%{} format: a real number is required, not {}", type, TypeName(value));
    if (zero && spec.align == '\0') {
      spec.fill = '0';
      spec.align = '=';
    }
    const bool whole = std::string_view("diuxXo").find(type) != std::string_view::npos;
    Value number = value;
    if (whole && value.Is(Kind::kFloat)) {
      if (type == 'x' || type == 'X' || type == 'o')
        Fail("%{} format: an integer is required, not float", type);
      if (!(std::fabs(value.real()) < 9.2e18)) Fail("an integer does not fit 64 bits");
      number = Value::Integer(static_cast<int64_t>(value.real()), value.tainted());
    }
    spec.type = type == 'i' || type == 'u' ? 'd' : type;
    if (whole && spec.precision >= 0) Fail("a precision for %{} is not supported", type);
    out_.Append(FormatNumber(evaluator_, number, spec));
  }

  Evaluator& evaluator_;
  const Text& format_;
  const Value& values_;
  bool escapes_;
  TextBuilder out_;
  size_t used_ = 0;
};

class BraceFormatter {
 public:
  BraceFormatter(Evaluator& evaluator, const Text& format, const Arguments& arguments, bool escapes,
                 size_t next = 0, int depth = 0)
      : evaluator_(evaluator),
        format_(format),
        arguments_(arguments),
        escapes_(escapes),
        next_(next),
        depth_(depth) {
    if (depth > 1) Fail("Max string recursion exceeded");
  }

  Text Run() {
    const std::string_view bytes = format_.bytes();
    for (size_t at = 0; at < bytes.size();) {
      const size_t brace = bytes.find_first_of("{}", at);
      if (brace == std::string_view::npos) {
        out_.Append(format_, at, bytes.size());
        break;
      }
      out_.Append(format_, at, brace);
      if (brace + 1 < bytes.size() && bytes[brace + 1] == bytes[brace]) {
        out_.Append(format_, brace, brace + 1);
        at = brace + 2;
        continue;
      }
      if (bytes[brace] == '}') Fail("Single '}}' encountered in format string");
      const size_t close = Close(brace + 1);
      Field(bytes.substr(brace + 1, close - brace - 1));
      at = close + 1;
    }
    return out_.Take();
  }

 private:
  size_t Close(size_t at) const {
    int depth = 1;
    for (; at < format_.bytes().size(); ++at) {
      if (format_.bytes()[at] == '{') ++depth;
      if (format_.bytes()[at] == '}' && --depth == 0) return at;
    }
    Fail("expected '}}' before end of string");
  }

  void Field(std::string_view field) {
    const size_t end = field.find_first_of("!:");
    std::string_view name = field.substr(0, end);
    std::string_view rest = end == std::string_view::npos ? std::string_view() : field.substr(end);
    Value value = Lookup(name);
    if (rest.starts_with("!")) {
      if (rest.size() < 2 || (rest[1] != 's' && rest[1] != 'r')) Fail("unknown conversion in a format");
      TextBuilder text;
      if (rest[1] == 's') {
        AppendString(evaluator_, text, value);
      } else {
        AppendRepr(evaluator_, text, value);
      }
      value = Value::String(text.Take());
      rest.remove_prefix(2);
    }
    if (rest.starts_with(":")) rest.remove_prefix(1);
    std::string spec(rest);
    if (spec.find('{') != std::string::npos) {
      const Text inner(spec, {});
      const Text expanded = BraceFormatter(evaluator_, inner, arguments_, escapes_, next_, depth_ + 1).Run();
      spec = std::string(expanded.bytes());
    }
    AppendFormatted(value, spec);
    evaluator_.ChargeBytes(out_.size() > 4096 ? out_.size() / 64 : 0);
  }

  void AppendFormatted(const Value& value, std::string_view spec) {
    if (!escapes_) {
      out_.Append(FormatValue(evaluator_, value, spec));
    } else if (!value.is_markup()) {
      out_.Append(EscapeHtml(evaluator_, FormatValue(evaluator_, value, spec)));
    } else if (!spec.empty()) {
      Fail("Unsupported format specification for Markup.");
    } else {
      out_.Append(value.text());
    }
  }

  // "0.name[key]": an argument, then attributes and items.
  Value Lookup(std::string_view name) {
    const size_t end = name.find_first_of(".[");
    const std::string_view first = name.substr(0, end);
    std::string_view rest = end == std::string_view::npos ? std::string_view() : name.substr(end);
    Value value = Argument(first);
    while (!rest.empty()) {
      if (rest[0] == '.') {
        const size_t stop = rest.find_first_of(".[", 1);
        value =
            GetAttribute(evaluator_, value, rest.substr(1, stop == std::string_view::npos ? stop : stop - 1));
        rest = stop == std::string_view::npos ? std::string_view() : rest.substr(stop);
      } else {
        const size_t stop = rest.find(']');
        if (stop == std::string_view::npos) Fail("Missing ']' in format string");
        const std::string_view key = rest.substr(1, stop - 1);
        int64_t index = 0;
        const auto [last, error] = std::from_chars(key.data(), key.data() + key.size(), index);
        const bool is_number = error == std::errc() && last == key.data() + key.size();
        value = GetItem(evaluator_, value,
                        is_number ? Value::Integer(index) : Value::String(std::string(key), false));
        rest.remove_prefix(stop + 1);
      }
    }
    return value;
  }

  Value Argument(std::string_view name) {
    size_t index = 0;
    const auto [last, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool is_number = !name.empty() && error == std::errc() && last == name.data() + name.size();
    if (name.empty() || is_number) {
      if (name.empty()) index = next_++;
      if (index >= arguments_.positional.size()) {
        Fail("Replacement index {} out of range for positional args tuple", index);
      }
      return arguments_.positional[index];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    Fail("'{}'", name);
  }

  Evaluator& evaluator_;
  const Text& format_;
  const Arguments& arguments_;
  bool escapes_;
  TextBuilder out_;
  size_t next_ = 0;
  int depth_ = 0;
};

}  // namespace

Value FormatPercent(Evaluator& evaluator, const Value& format, const Value& values) {
  return format.StringLike(PercentFormatter(evaluator, format, values).Run());
}

Value FormatBraces(Evaluator& evaluator, const Value& format, const Arguments& arguments) {
  return format.StringLike(BraceFormatter(evaluator, format.text(), arguments, format.is_markup()).Run());
}

}  // namespace hone::chat
