// json.dumps, with provenance: a string's quotes belong to the string, a container's brackets to the
// container.
#include <algorithm>
#include <cmath>

#include "core/formats/template/evaluator.h"
#include "core/formats/template/printing.h"
#include "core/formats/template/unicode.h"

namespace hone::chat {

namespace {

std::string JsonEscape(char32_t c) {
  if (c < 0x10000) return fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  const uint32_t rest = static_cast<uint32_t>(c) - 0x10000;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
}

void AppendJsonString(Evaluator& evaluator, TextBuilder& out, const Text& text, bool ensure_ascii) {
  const std::string_view bytes = text.bytes();
  evaluator.ChargeBytes(bytes.size());
  out.Append("\"", text.tainted());
  size_t plain = 0;  // start of the bytes that are copied as they are
  for (size_t at = 0; at < bytes.size();) {
    const auto byte = static_cast<unsigned char>(bytes[at]);
    if (byte >= 0x20 && byte != '"' && byte != '\\' && (byte < 0x7F || !ensure_ascii)) {
      ++at;
      continue;
    }
    out.Append(text, plain, at);
    const CodePoint point = DecodeAt(bytes, at);
    std::string escaped;
    switch (point.value) {
      case '"':
        escaped = "\\\"";
        break;
      case '\\':
        escaped = "\\\\";
        break;
      case '\n':
        escaped = "\\n";
        break;
      case '\r':
        escaped = "\\r";
        break;
      case '\t':
        escaped = "\\t";
        break;
      case '\f':
        escaped = "\\f";
        break;
      case '\b':
        escaped = "\\b";
        break;
      case 0x7F:
        escaped = "\x7F";
        break;
      default:
        escaped = JsonEscape(point.value);
    }
    out.Append(escaped, text.IsTainted(at, at + point.size));
    at += point.size;
    plain = at;
  }
  out.Append(text, plain, bytes.size());
  out.Append("\"", text.tainted());
}

std::string JsonNumber(const Value& value) {
  if (value.Is(Kind::kInteger)) return fmt::format("{}", value.integer());
  if (value.Is(Kind::kBool)) return value.integer() != 0 ? "true" : "false";
  if (value.IsLargeInteger()) return std::string(value.bytes());
  if (std::isnan(value.real())) return "NaN";
  if (std::isinf(value.real())) return value.real() < 0 ? "-Infinity" : "Infinity";
  return FloatRepr(value.real());
}

void NewLine(TextBuilder& out, const JsonStyle& style, int depth, bool tainted) {
  if (!style.has_indent) return;
  out.Append("\n", tainted);
  for (int i = 0; i < depth; ++i) out.Append(style.indent, tainted);
}

void AppendList(Evaluator& evaluator, TextBuilder& out, const Value& value, const JsonStyle& style,
                int depth) {
  const bool tainted = value.tainted();
  const Values& items = value.items();
  out.Append("[", tainted);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.Append(style.item_separator, tainted);
    NewLine(out, style, depth + 1, tainted);
    AppendJson(evaluator, out, items[i], style, depth + 1);
  }
  if (!items.empty()) NewLine(out, style, depth, tainted);
  out.Append("]", tainted);
}

void AppendKey(Evaluator& evaluator, TextBuilder& out, const Value& key, bool ensure_ascii) {
  if (key.Is(Kind::kString)) {
    AppendJsonString(evaluator, out, key.text(), ensure_ascii);
  } else if (key.IsNumber()) {
    out.Append(fmt::format("\"{}\"", JsonNumber(key)), key.tainted());
  } else if (key.Is(Kind::kNone)) {
    out.Append("\"null\"", key.tainted());
  } else {
    Fail("keys must be str, int, float, bool or None, not {}", TypeName(key));
  }
}

void AppendObject(Evaluator& evaluator, TextBuilder& out, const Value& value, const JsonStyle& style,
                  int depth) {
  const bool tainted = value.tainted();
  const auto& entries = value.As<DictObject>().entries;
  std::vector<const std::pair<Value, Value>*> order;
  for (const auto& entry : entries) order.push_back(&entry);
  if (style.sort_keys) {
    std::stable_sort(order.begin(), order.end(),
                     [](const auto* a, const auto* b) { return Compare(a->first, b->first, "<") < 0; });
  }
  out.Append("{", tainted);
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0) out.Append(style.item_separator, tainted);
    NewLine(out, style, depth + 1, tainted);
    AppendKey(evaluator, out, order[i]->first, style.ensure_ascii);
    out.Append(style.key_separator, tainted);
    AppendJson(evaluator, out, order[i]->second, style, depth + 1);
  }
  if (!order.empty()) NewLine(out, style, depth, tainted);
  out.Append("}", tainted);
}

}  // namespace

void AppendJson(Evaluator& evaluator, TextBuilder& out, const Value& value, const JsonStyle& style,
                int depth) {
  evaluator.Charge(1);
  if (style.has_indent) evaluator.ChargeBytes(style.indent.size() * static_cast<size_t>(depth));
  switch (value.kind()) {
    case Kind::kNone:
      out.Append("null", value.tainted());
      return;
    case Kind::kBool:
    case Kind::kInteger:
    case Kind::kFloat:
      out.Append(JsonNumber(value), value.tainted());
      return;
    case Kind::kString:
      AppendJsonString(evaluator, out, value.text(), style.ensure_ascii);
      return;
    case Kind::kList:
    case Kind::kTuple:
      AppendList(evaluator, out, value, style, depth);
      return;
    case Kind::kDict:
      AppendObject(evaluator, out, value, style, depth);
      return;
    default:
      Fail("Object of type {} is not JSON serializable", TypeName(value));
  }
}

}  // namespace hone::chat
