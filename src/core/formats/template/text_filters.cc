// Filters that make text.
#include <algorithm>

#include "core/formats/template/arguments.h"
#include "core/formats/template/evaluator.h"
#include "core/formats/template/filters.h"
#include "core/formats/template/format.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"
#include "core/formats/template/text_operations.h"

namespace hone::chat {

namespace {

template <CaseChange change>
Value Case(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("case filter", arguments);
  return value.StringLike(WithCase(evaluator, ToText(evaluator, value), change));
}

// Unlike str.title, a word starts only after white space, a dash or an opening bracket.
Value Title(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("title", arguments);
  const Text text = ToText(evaluator, value);
  const std::string_view bytes = text.bytes();
  evaluator.ChargeBytes(bytes.size() * 2);
  std::string out;
  const auto begins = [](char32_t c) {
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || IsSpace(c);
  };
  for (size_t at = 0; at < bytes.size();) {
    const bool separator = begins(DecodeAt(bytes, at).value);
    const size_t start = at;
    size_t first = 0;
    while (at < bytes.size() && begins(DecodeAt(bytes, at).value) == separator) {
      at += DecodeAt(bytes, at).size;
      if (first == 0) first = at;
    }
    out += ChangeCase(bytes.substr(start, first - start), CaseChange::kUpper);
    out += ChangeCase(bytes.substr(first, at - first), CaseChange::kLower);
  }
  return Value::String(std::move(out), text.tainted());
}

Value Trim(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [characters] = Bind<1>("trim", arguments, {"chars"});
  evaluator.ChargeBytes(value.Is(Kind::kString) ? value.bytes().size() : 0);
  return value.StringLike(Strip(ToText(evaluator, value), true, true, characters));
}

Value ReplaceFilter(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [from, to, count] = Bind<3>("replace", arguments, {"old", "new", "count"}, 2);
  const int64_t limit = count.Is(Kind::kNone) ? -1 : IntegerOr(count, -1, "count");
  return Value::String(
      Replace(evaluator, ToText(evaluator, value), ToText(evaluator, from), ToText(evaluator, to), limit));
}

Value Indent(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [width, first, blank] = Bind<3>("indent", arguments, {"width", "first", "blank"});
  if (!value.Is(Kind::kString)) Fail("indent: unsupported operand type '{}', expected str", TypeName(value));
  Text indention;
  if (width.Is(Kind::kString)) {
    indention = width.text();
  } else {
    const int64_t spaces = IntegerOr(width, 4, "indent");
    evaluator.ChargeRepeat(spaces, 1);
    indention = Text(std::string(static_cast<size_t>(std::max<int64_t>(spaces, 0)), ' '), {});
  }
  TextBuilder source;
  source.Append(value.text());
  source.Append("\n", false);
  const std::vector<Text> lines = SplitLines(evaluator, source.Take(), false);
  const bool indents_blank = BoolOr(blank, false);
  evaluator.ChargeRepeat(static_cast<int64_t>(lines.size()), indention.bytes().size());
  TextBuilder out;
  if (BoolOr(first, false)) out.Append(indention);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) {
      out.Append("\n", false);
      if (indents_blank || !lines[i].bytes().empty()) out.Append(indention);
    }
    out.Append(lines[i]);
  }
  return value.StringLike(out.Take());
}

Value Center(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [width] = Bind<1>("center", arguments, {"width"});
  const Text space(" ", {});
  return value.StringLike(
      Pad(evaluator, ToText(evaluator, value), IntegerOr(width, 80, "center"), space, Side::kBoth));
}

Value StringFilter(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("string", arguments);
  return value.Is(Kind::kString) ? value : Value::String(ToText(evaluator, value));
}

Value Escape(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("escape", arguments);
  return Value::Markup(EscapedText(evaluator, value));
}

// Markup is escaped once more.
Value ForceEscape(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("forceescape", arguments);
  return Value::Markup(EscapeHtml(evaluator, ToText(evaluator, value)));
}

Value Safe(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("safe", arguments);
  return Value::Markup(ToText(evaluator, value));
}

Value WordCount(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("wordcount", arguments);
  const Text text = ToText(evaluator, value);
  const std::string_view bytes = text.bytes();
  int64_t count = 0;
  bool inside = false;
  for (size_t at = 0; at < bytes.size();) {
    const CodePoint point = DecodeAt(bytes, at);
    const bool word = point.valid && IsWordCharacter(point.value);
    if (word && !inside) ++count;
    inside = word;
    at += point.size;
  }
  return Value::Integer(count);
}

Value Truncate(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [length_value, kill, end_value, leeway_value] =
      Bind<4>("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const Text text = ToText(evaluator, value);
  const Text end = end_value.Is(Kind::kMissing) ? Text("...", {}) : ToText(evaluator, end_value);
  const int64_t length = IntegerOr(length_value, 255, "truncate");
  const int64_t leeway = leeway_value.Is(Kind::kNone) ? 5 : IntegerOr(leeway_value, 5, "truncate");
  if (length < end.length()) Fail("expected length >= {}, got {}", end.length(), length);
  if (leeway < 0) Fail("expected leeway >= 0, got {}", leeway);
  if (text.length() <= length + std::min<int64_t>(leeway, INT32_MAX)) return value.StringLike(text);
  Text cut = text.Slice(0, text.Offset(length - end.length()));
  if (!BoolOr(kill, false)) {
    const size_t space = cut.bytes().rfind(' ');
    if (space != std::string_view::npos) cut = cut.Slice(0, space);
  }
  TextBuilder out;
  out.Append(cut);
  out.Append(value.is_markup() && !end_value.is_markup() ? EscapeHtml(evaluator, end) : end);
  return value.StringLike(out.Take());
}

// Percent-encoded UTF-8, all but letters, digits and "_.-~/" (`plus`: a space is '+' and '/' is encoded).
std::string Quote(std::string_view bytes, bool plus) {
  std::string out;
  for (char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    const bool safe =
        (byte < 0x80 && IsWordCharacter(byte)) || c == '.' || c == '-' || c == '~' || (c == '/' && !plus);
    if (safe) {
      out += c;
    } else if (c == ' ' && plus) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

Value UrlEncode(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("urlencode", arguments);
  const auto quote = [&](TextBuilder& out, const Value& part, bool plus) {
    const Text text = ToText(evaluator, part);
    evaluator.ChargeBytes(text.bytes().size() * 3);
    out.Append(Quote(text.bytes(), plus), text.tainted());
  };
  TextBuilder out;
  const bool pairs =
      value.Is(Kind::kDict) || value.Is(Kind::kList) || value.Is(Kind::kTuple) || value.Is(Kind::kDictView);
  if (!pairs) {
    quote(out, value, false);
    return Value::String(out.Take());
  }
  Values entries;
  if (value.Is(Kind::kDict)) {
    for (const auto& [key, item] : value.As<DictObject>().entries)
      entries.push_back(Value::Tuple({key, item}));
  } else {
    entries = ToList(evaluator, value);
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    const Values pair = ToList(evaluator, entries[i]);
    if (pair.size() != 2) Fail("urlencode: expected pairs of key and value");
    if (i > 0) out.Append("&", false);
    quote(out, pair[0], true);
    out.Append("=", false);
    quote(out, pair[1], true);
  }
  return Value::String(out.Take());
}

Value XmlAttributes(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [space] = Bind<1>("xmlattr", arguments, {"autospace"});
  if (!value.Is(Kind::kDict)) Fail("xmlattr: expected a dict, found {}", TypeName(value));
  TextBuilder out;
  for (const auto& [key, item] : value.As<DictObject>().entries) {
    if (item.Is(Kind::kNone) || item.Is(Kind::kUndefined)) continue;
    const Text name = ToText(evaluator, key);
    if (name.bytes().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      Fail("Invalid character in attribute name: '{}'", name.bytes());
    }
    if (out.size() > 0 || BoolOr(space, true)) out.Append(" ", false);
    out.Append(EscapedText(evaluator, key));
    out.Append("=\"", false);
    out.Append(EscapedText(evaluator, item));
    out.Append("\"", false);
  }
  return Value::String(out.Take());
}

Value Format(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    Fail("can't handle positional and keyword arguments at the same time");
  }
  const Value format = value.Is(Kind::kString) ? value : Value::String(ToText(evaluator, value));
  if (arguments.named.empty())
    return FormatPercent(evaluator, format, Value::Tuple(std::move(arguments.positional)));
  auto dict = std::make_shared<DictObject>();
  for (auto& [name, item] : arguments.named) dict->Set(Value::String(name, false), std::move(item));
  return FormatPercent(evaluator, format, Value::Of(Kind::kDict, std::move(dict)));
}

Value ToJson(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [ensure_ascii, indent, separators, sort_keys] =
      Bind<4>("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = BoolOr(ensure_ascii, false);
  style.sort_keys = BoolOr(sort_keys, false);
  if (!indent.Is(Kind::kMissing) && !indent.Is(Kind::kNone)) {
    style.has_indent = true;
    style.item_separator = ',';
    if (indent.Is(Kind::kString)) {
      style.indent = std::string(indent.bytes());
    } else {
      const int64_t spaces = IntegerOr(indent, 0, "indent");
      evaluator.ChargeRepeat(spaces, 1);
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(spaces, 0)), ' ');
    }
  }
  if (!separators.Is(Kind::kMissing) && !separators.Is(Kind::kNone)) {
    const Values pair = ToList(evaluator, separators);
    if (pair.size() != 2 || !pair[0].Is(Kind::kString) || !pair[1].Is(Kind::kString)) {
      Fail("tojson: separators must be two strings");
    }
    style.item_separator = std::string(pair[0].bytes());
    style.key_separator = std::string(pair[1].bytes());
  }
  TextBuilder out;
  AppendJson(evaluator, out, value, style);
  evaluator.ChargeBytes(out.size());
  return Value::String(out.Take());
}

Value PrettyPrint(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("pprint", arguments);
  TextBuilder out;
  AppendRepr(evaluator, out, value);
  if (out.size() > 79) Fail("pprint of a value longer than one line is not supported");
  return Value::String(out.Take());
}

constexpr FilterEntry kFilters[] = {
    {"capitalize", Case<CaseChange::kCapitalize>},
    {"center", Center},
    {"e", Escape},
    {"escape", Escape},
    {"forceescape", ForceEscape},
    {"format", Format},
    {"indent", Indent},
    {"lower", Case<CaseChange::kLower>},
    {"pprint", PrettyPrint},
    {"replace", ReplaceFilter},
    {"safe", Safe},
    {"string", StringFilter},
    {"title", Title},
    {"tojson", ToJson},
    {"trim", Trim},
    {"truncate", Truncate},
    {"upper", Case<CaseChange::kUpper>},
    {"urlencode", UrlEncode},
    {"wordcount", WordCount},
    {"xmlattr", XmlAttributes},
};

}  // namespace

std::span<const FilterEntry> TextFilters() { return kFilters; }

}  // namespace hone::chat
