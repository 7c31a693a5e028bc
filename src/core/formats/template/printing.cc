#include "core/formats/template/printing.h"

#include <charconv>
#include <cmath>

#include "core/formats/template/evaluator.h"
#include "core/formats/template/loop.h"
#include "core/formats/template/unicode.h"

namespace hone::chat {

// The shortest digits that read back as the same double, in Python's layout: an exponent below 1e-4 and from
// 1e16 on.
std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  std::string text(buffer, end);
  const size_t e = text.find('e');
  const int exponent = std::stoi(text.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return text;
  const bool negative = text[0] == '-';
  std::string digits;
  for (char c : text.substr(negative ? 1 : 0, e - (negative ? 1 : 0))) {
    if (c != '.') digits += c;
  }
  const std::string_view sign = negative ? "-" : "";
  if (exponent < 0) return fmt::format("{}0.{:0>{}}{}", sign, "", -exponent - 1, digits);
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return fmt::format("{}{:0<{}}.0", sign, digits, whole);
  return fmt::format("{}{}.{}", sign, digits.substr(0, whole), digits.substr(whole));
}

namespace {

// Containers that hold themselves through a namespace are cut here.
constexpr int kMaximumPrintDepth = kMaximumNesting + 8;

void AppendEscape(std::string& out, char32_t c) {
  if (c <= 0xFF) {
    out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
  } else if (c <= 0xFFFF) {
    out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  } else {
    out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
  }
}

void AppendStringRepr(Evaluator& evaluator, TextBuilder& out, const Text& text) {
  const std::string_view bytes = text.bytes();
  evaluator.ChargeBytes(bytes.size());
  const bool has_single = bytes.find('\'') != std::string_view::npos;
  const char quote = has_single && bytes.find('"') == std::string_view::npos ? '"' : '\'';
  // The quotes belong to the string that they stand around.
  const std::string_view quote_text(&quote, 1);
  out.Append(quote_text, text.tainted());
  for (size_t at = 0; at < bytes.size();) {
    const CodePoint point = DecodeAt(bytes, at);
    std::string escaped;
    if (point.value == '\n')
      escaped = "\\n";
    else if (point.value == '\r')
      escaped = "\\r";
    else if (point.value == '\t')
      escaped = "\\t";
    else if (point.value == '\\')
      escaped = "\\\\";
    else if (point.value == static_cast<char32_t>(quote))
      escaped = fmt::format("\\{}", quote);
    else if (!point.valid || !IsPrintable(point.value))
      AppendEscape(escaped, point.value);
    if (escaped.empty()) {
      out.Append(text, at, at + point.size);
    } else {
      out.Append(escaped, text.IsTainted(at, at + point.size));
    }
    at += point.size;
  }
  out.Append(quote_text, text.tainted());
}

void AppendItems(Evaluator& evaluator, TextBuilder& out, const Value& value, std::string_view open,
                 std::string_view close, int depth) {
  const bool tainted = value.tainted();
  out.Append(open, tainted);
  const Values& items = value.items();
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.Append(", ", tainted);
    AppendRepr(evaluator, out, items[i], depth + 1);
  }
  if (value.Is(Kind::kTuple) && items.size() == 1) out.Append(",", tainted);
  out.Append(close, tainted);
}

void AppendPairs(Evaluator& evaluator, TextBuilder& out, const DictObject& dict, bool tainted, int depth) {
  out.Append("{", tainted);
  bool first = true;
  for (const auto& [key, item] : dict.entries) {
    if (!first) out.Append(", ", tainted);
    first = false;
    AppendRepr(evaluator, out, key, depth + 1);
    out.Append(": ", tainted);
    AppendRepr(evaluator, out, item, depth + 1);
  }
  out.Append("}", tainted);
}

void AppendNamespace(Evaluator& evaluator, TextBuilder& out, const NamespaceObject& space, int depth) {
  out.Append("<Namespace {", false);
  bool first = true;
  for (const auto& [name, item] : space.attributes) {
    out.Append(fmt::format("{}'{}': ", first ? "" : ", ", name), false);
    first = false;
    AppendRepr(evaluator, out, item, depth + 1);
  }
  out.Append("}>", false);
}

}  // namespace

void AppendRepr(Evaluator& evaluator, TextBuilder& out, const Value& value, int depth) {
  if (depth > kMaximumPrintDepth) Fail("a value is nested too deep to be printed");
  evaluator.Charge(1);
  const bool tainted = value.tainted();
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      out.Append("Undefined", false);
      return;
    case Kind::kNone:
      out.Append("None", tainted);
      return;
    case Kind::kBool:
      out.Append(value.integer() != 0 ? "True" : "False", tainted);
      return;
    case Kind::kInteger:
      out.Append(fmt::format("{}", value.integer()), tainted);
      return;
    case Kind::kFloat:
      out.Append(value.IsLargeInteger() ? std::string(value.bytes()) : FloatRepr(value.real()), tainted);
      return;
    case Kind::kString:
      if (value.is_markup()) out.Append("Markup(", value.text().tainted());
      AppendStringRepr(evaluator, out, value.text());
      if (value.is_markup()) out.Append(")", value.text().tainted());
      return;
    case Kind::kList:
      AppendItems(evaluator, out, value, "[", "]", depth);
      return;
    case Kind::kTuple:
      AppendItems(evaluator, out, value, "(", ")", depth);
      return;
    case Kind::kDictView:
      AppendItems(evaluator, out, value, fmt::format("{}([", TypeName(value)), "])", depth);
      return;
    case Kind::kDict:
      AppendPairs(evaluator, out, value.As<DictObject>(), tainted, depth);
      return;
    case Kind::kRange: {
      const auto& range = value.As<RangeObject>();
      out.Append(range.step == 1 ? fmt::format("range({}, {})", range.start, range.stop)
                                 : fmt::format("range({}, {}, {})", range.start, range.stop, range.step),
                 false);
      return;
    }
    case Kind::kNamespace:
      AppendNamespace(evaluator, out, value.As<NamespaceObject>(), depth);
      return;
    case Kind::kLoop: {
      auto& loop = value.As<LoopObject>();
      const int64_t length = loop.Length(evaluator);
      out.Append(fmt::format("<LoopContext {}/{}>", loop.index0 + 1, length), false);
      return;
    }
    // Python prints an address here; there is none to match.
    case Kind::kIterator:
      out.Append(fmt::format("<{} object>", TypeName(value)), false);
      return;
    case Kind::kCallable:
      out.Append(fmt::format("<function {}>", value.As<CallableObject>().name), false);
      return;
  }
}

void AppendString(Evaluator& evaluator, TextBuilder& out, const Value& value) {
  if (value.Is(Kind::kString)) {
    out.Append(value.text());
  } else if (!value.Is(Kind::kUndefined)) {
    AppendRepr(evaluator, out, value);
  }
}

Text ToText(Evaluator& evaluator, const Value& value) {
  if (value.Is(Kind::kString)) return value.text();
  TextBuilder out;
  AppendString(evaluator, out, value);
  return out.Take();
}

}  // namespace hone::chat
