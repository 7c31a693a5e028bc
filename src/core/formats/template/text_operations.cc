#include "core/formats/template/text_operations.h"

#include <algorithm>

#include "core/formats/template/evaluator.h"
#include "core/formats/template/printing.h"

namespace hone::chat {

Text Strip(const Text& text, bool left, bool right, const Value& characters) {
  const std::string_view bytes = text.bytes();
  size_t begin = 0;
  size_t end = bytes.size();
  if (characters.Is(Kind::kMissing) || characters.Is(Kind::kNone)) {
    if (left) begin = LeadingSpace(bytes);
    if (right) end -= std::min(TrailingSpace(bytes.substr(begin)), end - begin);
    return text.Slice(begin, end);
  }
  if (!characters.Is(Kind::kString)) Fail("strip arg must be None or str");
  const std::string_view set = characters.bytes();
  const auto in_set = [&](std::string_view character) {
    for (size_t at = 0; at < set.size();) {
      const size_t size = DecodeAt(set, at).size;
      if (set.substr(at, size) == character) return true;
      at += size;
    }
    return false;
  };
  while (left && begin < end) {
    const size_t size = DecodeAt(bytes, begin).size;
    if (!in_set(bytes.substr(begin, size))) break;
    begin += size;
  }
  while (right && begin < end) {
    size_t start = end - 1;
    while (start > begin && end - start < 4 && (static_cast<unsigned char>(bytes[start]) & 0xC0) == 0x80)
      --start;
    if (start + DecodeAt(bytes, start).size != end) start = end - 1;
    if (!in_set(bytes.substr(start, end - start))) break;
    end = start;
  }
  return text.Slice(begin, end);
}

Text Replace(Evaluator& evaluator, const Text& text, const Text& from, const Text& to, int64_t limit) {
  const std::string_view bytes = text.bytes();
  if (limit < 0) limit = INT64_MAX;
  TextBuilder out;
  size_t at = 0;
  evaluator.ChargeBytes(bytes.size());
  if (from.bytes().empty()) {
    evaluator.ChargeRepeat(std::min(text.length() + 1, limit), to.bytes().size());
    while (limit-- > 0) {
      out.Append(to);
      if (at >= bytes.size()) break;
      const size_t size = DecodeAt(bytes, at).size;
      out.Append(text, at, at + size);
      at += size;
    }
    out.Append(text, std::min(at, bytes.size()), bytes.size());
    return out.Take();
  }
  while (limit-- > 0) {
    const size_t found = bytes.find(from.bytes(), at);
    if (found == std::string_view::npos) break;
    evaluator.ChargeRepeat(1, to.bytes().size());
    evaluator.Charge(1);
    out.Append(text, at, found);
    out.Append(to);
    at = found + from.bytes().size();
  }
  out.Append(text, at, bytes.size());
  evaluator.ChargeBytes(out.size());
  return out.Take();
}

namespace {

// Bytes of the line end at `at`, or 0.
size_t LineEnd(std::string_view bytes, size_t at) {
  const CodePoint point = DecodeAt(bytes, at);
  if (point.value == '\r') return at + 1 < bytes.size() && bytes[at + 1] == '\n' ? 2 : 1;
  const bool ends = (point.value >= 10 && point.value <= 12) || (point.value >= 28 && point.value <= 30) ||
                    (point.valid && (point.value == 0x85 || point.value == 0x2028 || point.value == 0x2029));
  return ends ? point.size : 0;
}

}  // namespace

std::vector<Text> SplitLines(Evaluator& evaluator, const Text& text, bool keep_ends) {
  const std::string_view bytes = text.bytes();
  evaluator.ChargeBytes(bytes.size());
  std::vector<Text> lines;
  size_t start = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = LineEnd(bytes, at);
    if (end == 0) {
      at += DecodeAt(bytes, at).size;
      continue;
    }
    evaluator.Charge(1);
    lines.push_back(text.Slice(start, keep_ends ? at + end : at));
    at += end;
    start = at;
  }
  if (start < bytes.size()) lines.push_back(text.Slice(start, bytes.size()));
  return lines;
}

Text WithCase(Evaluator& evaluator, const Text& text, CaseChange change) {
  evaluator.ChargeBytes(text.bytes().size() * 2);
  TextBuilder out;
  out.Append(ChangeCase(text.bytes(), change), text.tainted());
  return out.Take();
}

Text Join(Evaluator& evaluator, const Text& separator, const std::vector<Text>& parts) {
  size_t size = parts.empty() ? 0 : separator.bytes().size() * (parts.size() - 1);
  for (const Text& part : parts) size += part.bytes().size();
  evaluator.ChargeBytes(size);
  TextBuilder out;
  out.Reserve(size);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out.Append(separator);
    out.Append(parts[i]);
  }
  return out.Take();
}

Text Pad(Evaluator& evaluator, const Text& text, int64_t width, const Text& fill, Side side) {
  if (fill.length() != 1) Fail("The fill character must be exactly one character long");
  const int64_t missing = width - text.length();
  if (missing <= 0) return text;
  evaluator.ChargeRepeat(missing, fill.bytes().size());
  // str.center puts the odd one to the left where the width is odd.
  int64_t before = side == Side::kLeft ? missing : 0;
  if (side == Side::kBoth) before = missing / 2 + (missing & width & 1);
  TextBuilder out;
  for (int64_t i = 0; i < before; ++i) out.Append(fill);
  out.Append(text);
  for (int64_t i = before; i < missing; ++i) out.Append(fill);
  return out.Take();
}

namespace {

std::string_view HtmlEntity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '\'':
      return "&#39;";
    case '"':
      return "&#34;";
    default:
      return {};
  }
}

}  // namespace

Text EscapeHtml(Evaluator& evaluator, const Text& text) {
  const std::string_view bytes = text.bytes();
  evaluator.ChargeBytes(bytes.size());
  TextBuilder out;
  size_t plain = 0;  // start of the bytes that are copied as they are
  for (size_t at = 0; at < bytes.size(); ++at) {
    const std::string_view entity = HtmlEntity(bytes[at]);
    if (entity.empty()) continue;
    out.Append(text, plain, at);
    out.Append(entity, text.IsTainted(at, at + 1));
    plain = at + 1;
  }
  out.Append(text, plain, bytes.size());
  evaluator.ChargeBytes(out.size());
  return out.Take();
}

Text EscapedText(Evaluator& evaluator, const Value& value) {
  return value.is_markup() ? value.text() : EscapeHtml(evaluator, ToText(evaluator, value));
}

}  // namespace hone::chat
