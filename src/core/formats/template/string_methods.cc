#include <algorithm>

#include "core/formats/template/arguments.h"
#include "core/formats/template/evaluator.h"
#include "core/formats/template/format.h"
#include "core/formats/template/methods.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/text_operations.h"

namespace hone::chat {

namespace {

using Self = const Value&;

const Text& TextArgument(const Value& value, std::string_view method) {
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  if (!value.Is(Kind::kString)) Fail("{}() argument must be str, not {}", method, TypeName(value));
  return value.text();
}

// The argument as it is put into `self`: markup escapes it.
Text InsertedText(Evaluator& evaluator, Self self, const Value& value, std::string_view method) {
  const Text& text = TextArgument(value, method);
  return self.is_markup() ? EscapedText(evaluator, value) : text;
}

Value AsMarkup(const Value& value) {
  if (value.Is(Kind::kString)) return Value::Markup(value.text());
  Values items;
  for (const Value& item : value.items()) items.push_back(Value::Markup(item.text()));
  return value.Is(Kind::kList) ? Value::List(std::move(items), value.tainted())
                               : Value::Tuple(std::move(items), value.tainted());
}

// A method that makes strings of a string: of markup it makes markup.
template <Value (*method)(Evaluator&, Self, Arguments&)>
Value Keeps(Evaluator& evaluator, Self self, Arguments& arguments) {
  Value result = method(evaluator, self, arguments);
  return self.is_markup() ? AsMarkup(result) : result;
}

template <CaseChange change>
Value Case(Evaluator& evaluator, Self self, Arguments& arguments) {
  BindNothing("str case method", arguments);
  return Value::String(WithCase(evaluator, self.text(), change));
}

template <bool left, bool right>
Value StripMethod(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [characters] = Bind<1>("strip", arguments, {"chars"});
  evaluator.ChargeBytes(self.bytes().size());
  return Value::String(Strip(self.text(), left, right, characters));
}

// Splits at white space, from the front or from the back, at most `limit` times.
Values SplitAtSpace(Evaluator& evaluator, const Text& text, int64_t limit, bool from_back) {
  std::vector<std::pair<size_t, size_t>> words;
  const std::string_view bytes = text.bytes();
  for (size_t at = LeadingSpace(bytes); at < bytes.size(); at += LeadingSpace(bytes.substr(at))) {
    const size_t start = at;
    while (at < bytes.size()) {
      const CodePoint point = DecodeAt(bytes, at);
      if (point.valid && IsSpace(point.value)) break;
      at += point.size;
    }
    words.emplace_back(start, at);
  }
  const auto extra = static_cast<int64_t>(words.size()) - 1 - limit;
  if (limit >= 0 && extra > 0) {
    const auto count = static_cast<std::ptrdiff_t>(extra);
    if (from_back) {
      words[static_cast<size_t>(count)].first = 0;
      words.erase(words.begin(), words.begin() + count);
    } else {
      // The rest keeps its inner and trailing white space.
      words.resize(static_cast<size_t>(limit) + 1);
      words.back().second = bytes.size();
    }
  }
  evaluator.Charge(static_cast<int64_t>(words.size()));
  Values parts;
  for (const auto& [begin, end] : words) parts.push_back(Value::String(text.Slice(begin, end)));
  return parts;
}

Values SplitAt(Evaluator& evaluator, const Text& text, std::string_view separator, int64_t limit,
               bool from_back) {
  if (separator.empty()) Fail("empty separator");
  const std::string_view bytes = text.bytes();
  if (limit < 0) limit = INT64_MAX;
  Values parts;
  if (from_back) {
    size_t end = bytes.size();
    while (limit-- > 0 && end >= separator.size()) {
      const size_t found = bytes.rfind(separator, end - separator.size());
      if (found == std::string_view::npos) break;
      evaluator.Charge(1);
      parts.push_back(Value::String(text.Slice(found + separator.size(), end)));
      end = found;
    }
    parts.push_back(Value::String(text.Slice(0, end)));
    std::reverse(parts.begin(), parts.end());
    return parts;
  }
  size_t at = 0;
  while (limit-- > 0) {
    const size_t found = bytes.find(separator, at);
    if (found == std::string_view::npos) break;
    evaluator.Charge(1);
    parts.push_back(Value::String(text.Slice(at, found)));
    at = found + separator.size();
  }
  parts.push_back(Value::String(text.Slice(at, bytes.size())));
  return parts;
}

template <bool from_back>
Value Split(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [separator, limit_value] = Bind<2>("split", arguments, {"sep", "maxsplit"});
  const int64_t limit = IntegerOr(limit_value, -1, "maxsplit");
  evaluator.ChargeBytes(self.bytes().size());
  if (separator.Is(Kind::kMissing) || separator.Is(Kind::kNone)) {
    return Value::List(SplitAtSpace(evaluator, self.text(), limit, from_back));
  }
  return Value::List(
      SplitAt(evaluator, self.text(), TextArgument(separator, "split").bytes(), limit, from_back));
}

Value SplitLinesMethod(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [keep] = Bind<1>("splitlines", arguments, {"keepends"});
  Values lines;
  for (Text& line : SplitLines(evaluator, self.text(), BoolOr(keep, false))) {
    lines.push_back(Value::String(std::move(line)));
  }
  return Value::List(std::move(lines));
}

template <bool from_back>
Value Partition(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [separator] = Bind<1>("partition", arguments, {"sep"}, 1);
  const std::string_view wanted = TextArgument(separator, "partition").bytes();
  if (wanted.empty()) Fail("empty separator");
  const Text& text = self.text();
  evaluator.ChargeBytes(self.bytes().size());
  const size_t at = from_back ? text.bytes().rfind(wanted) : text.bytes().find(wanted);
  const Value none = Value::String("", false);
  if (at == std::string_view::npos) {
    return from_back ? Value::Tuple({none, none, self}) : Value::Tuple({self, none, none});
  }
  return Value::Tuple({Value::String(text.Slice(0, at)), Value::String(text.Slice(at, at + wanted.size())),
                       Value::String(text.Slice(at + wanted.size(), text.bytes().size()))});
}

// The bytes that [start, end) of a search method cover; false where start lies behind the end.
bool SearchRange(const Text& text, const Value& start, const Value& end, size_t& begin_byte,
                 size_t& end_byte) {
  const auto clamp = [&](const Value& value, int64_t otherwise) {
    if (value.Is(Kind::kNone)) return otherwise;
    const int64_t index = IntegerOr(value, otherwise, "slice index");
    return index < 0 ? std::max<int64_t>(index + text.length(), 0) : index;
  };
  const int64_t from = clamp(start, 0);
  const int64_t to = std::min(clamp(end, text.length()), text.length());
  if (from > to) return false;
  begin_byte = text.Offset(from);
  end_byte = text.Offset(to);
  return true;
}

template <bool from_back, bool required>
Value Find(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [wanted, start, end] = Bind<3>("find", arguments, {"sub", "start", "end"}, 1);
  const std::string_view sub = TextArgument(wanted, "find").bytes();
  const Text& text = self.text();
  evaluator.ChargeBytes(self.bytes().size());
  size_t from = 0, to = 0;
  size_t found = std::string_view::npos;
  if (SearchRange(text, start, end, from, to)) {
    const std::string_view part = text.bytes().substr(from, to - from);
    found = from_back ? part.rfind(sub) : part.find(sub);
  }
  if (found == std::string_view::npos) {
    if (required) Fail("substring not found");
    return Value::Integer(-1);
  }
  return Value::Integer(text.Index(from + found));
}

Value Count(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [wanted, start, end] = Bind<3>("count", arguments, {"sub", "start", "end"}, 1);
  const std::string_view sub = TextArgument(wanted, "count").bytes();
  const Text& text = self.text();
  evaluator.ChargeBytes(self.bytes().size());
  size_t from = 0, to = 0;
  if (!SearchRange(text, start, end, from, to)) return Value::Integer(0);
  const std::string_view part = text.bytes().substr(from, to - from);
  if (sub.empty()) return Value::Integer(CountCodePoints(part) + 1);
  int64_t count = 0;
  for (size_t at = part.find(sub); at != std::string_view::npos; at = part.find(sub, at + sub.size()))
    ++count;
  return Value::Integer(count);
}

template <bool at_end>
Value StartsOrEnds(Evaluator&, Self self, Arguments& arguments) {
  constexpr std::string_view kName = at_end ? "endswith" : "startswith";
  const auto [wanted, start, end] = Bind<3>(kName, arguments, {"prefix", "start", "end"}, 1);
  size_t from = 0, to = 0;
  if (!SearchRange(self.text(), start, end, from, to)) return Value::Bool(false);
  const std::string_view part = self.bytes().substr(from, to - from);
  const auto matches = [&](const Value& value) {
    if (value.Is(Kind::kUndefined)) Fail("{} first arg must be str or a tuple of str, not Undefined", kName);
    if (!value.Is(Kind::kString))
      Fail("{} first arg must be str or a tuple of str, not {}", kName, TypeName(value));
    return at_end ? part.ends_with(value.bytes()) : part.starts_with(value.bytes());
  };
  if (!wanted.Is(Kind::kTuple)) return Value::Bool(matches(wanted));
  return Value::Bool(std::any_of(wanted.items().begin(), wanted.items().end(), matches));
}

Value JoinMethod(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [values] = Bind<1>("join", arguments, {"iterable"}, 1);
  std::vector<Text> parts;
  for (const Value& value : ToList(evaluator, values)) {
    if (self.is_markup()) {
      parts.push_back(EscapedText(evaluator, value));
      continue;
    }
    if (!value.Is(Kind::kString)) {
      Fail("sequence item {}: expected str instance, {} found", parts.size(), TypeName(value));
    }
    parts.push_back(value.text());
  }
  return Value::String(Join(evaluator, self.text(), parts));
}

Value ReplaceMethod(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [from, to, count] = Bind<3>("replace", arguments, {"old", "new", "count"}, 2);
  return Value::String(Replace(evaluator, self.text(), TextArgument(from, "replace"),
                               InsertedText(evaluator, self, to, "replace"), IntegerOr(count, -1, "count")));
}

template <bool at_end>
Value Remove(Evaluator&, Self self, Arguments& arguments) {
  const auto [affix] = Bind<1>(at_end ? "removesuffix" : "removeprefix", arguments, {"affix"}, 1);
  const std::string_view wanted = TextArgument(affix, at_end ? "removesuffix" : "removeprefix").bytes();
  const Text& text = self.text();
  const size_t size = text.bytes().size();
  if (at_end)
    return text.bytes().ends_with(wanted) ? Value::String(text.Slice(0, size - wanted.size())) : self;
  return text.bytes().starts_with(wanted) ? Value::String(text.Slice(wanted.size(), size)) : self;
}

template <Side side>
Value Justify(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [width, fill] = Bind<2>("justify", arguments, {"width", "fillchar"}, 1);
  const Text space(" ", {});
  return Value::String(Pad(evaluator, self.text(), IntegerOr(width, 0, "width"),
                           fill.Is(Kind::kMissing) ? space : InsertedText(evaluator, self, fill, "justify"),
                           side));
}

Value ZeroFill(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [width] = Bind<1>("zfill", arguments, {"width"}, 1);
  const Text& text = self.text();
  const bool has_sign = text.bytes().starts_with("+") || text.bytes().starts_with("-");
  const Text zero("0", {});
  const int64_t wanted = IntegerOr(width, 0, "width");
  if (wanted <= text.length()) return self;
  const Text digits = Pad(evaluator, text.Slice(has_sign ? 1 : 0, text.bytes().size()),
                          wanted - (has_sign ? 1 : 0), zero, Side::kLeft);
  TextBuilder out;
  out.Append(text, 0, has_sign ? 1 : 0);
  out.Append(digits);
  return Value::String(out.Take());
}

Value ExpandTabs(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [size_value] = Bind<1>("expandtabs", arguments, {"tabsize"});
  const int64_t size = IntegerOr(size_value, 8, "tabsize");
  const Text& text = self.text();
  TextBuilder out;
  int64_t column = 0;
  for (size_t at = 0; at < text.bytes().size();) {
    const CodePoint point = DecodeAt(text.bytes(), at);
    if (point.value == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      evaluator.ChargeRepeat(spaces, 1);
      evaluator.ChargeRepeat(1, out.size() / 64);
      out.Append(std::string(static_cast<size_t>(spaces), ' '), text.IsTainted(at, at + 1));
      column += spaces;
    } else {
      out.Append(text, at, at + point.size);
      column = point.value == '\n' || point.value == '\r' ? 0 : column + 1;
    }
    at += point.size;
  }
  return Value::String(out.Take());
}

Value FormatMethod(Evaluator& evaluator, Self self, Arguments& arguments) {
  return FormatBraces(evaluator, self, arguments);
}

Value FormatMap(Evaluator& evaluator, Self self, Arguments& arguments) {
  const auto [mapping] = Bind<1>("format_map", arguments, {"mapping"}, 1);
  if (!mapping.Is(Kind::kDict)) Fail("format_map() argument must be a mapping, not {}", TypeName(mapping));
  Arguments named;
  for (const auto& [key, value] : mapping.template As<DictObject>().entries) {
    if (key.Is(Kind::kString)) named.named.emplace_back(key.bytes(), value);
  }
  return FormatBraces(evaluator, self, named);
}

constexpr MethodEntry kMethods[] = {
    {"capitalize", Keeps<Case<CaseChange::kCapitalize>>},
    {"casefold", Keeps<Case<CaseChange::kLower>>},
    {"center", Keeps<Justify<Side::kBoth>>},
    {"count", Count},
    {"endswith", StartsOrEnds<true>},
    {"expandtabs", Keeps<ExpandTabs>},
    {"find", Find<false, false>},
    {"format", FormatMethod},
    {"format_map", FormatMap},
    {"index", Find<false, true>},
    {"join", Keeps<JoinMethod>},
    {"ljust", Keeps<Justify<Side::kRight>>},
    {"lower", Keeps<Case<CaseChange::kLower>>},
    {"lstrip", Keeps<StripMethod<true, false>>},
    {"partition", Keeps<Partition<false>>},
    {"removeprefix", Keeps<Remove<false>>},
    {"removesuffix", Keeps<Remove<true>>},
    {"replace", Keeps<ReplaceMethod>},
    {"rfind", Find<true, false>},
    {"rindex", Find<true, true>},
    {"rjust", Keeps<Justify<Side::kLeft>>},
    {"rpartition", Keeps<Partition<true>>},
    {"rsplit", Keeps<Split<true>>},
    {"rstrip", Keeps<StripMethod<false, true>>},
    {"split", Keeps<Split<false>>},
    {"splitlines", Keeps<SplitLinesMethod>},
    {"startswith", StartsOrEnds<false>},
    {"strip", Keeps<StripMethod<true, true>>},
    {"swapcase", Keeps<Case<CaseChange::kSwap>>},
    {"title", Keeps<Case<CaseChange::kTitle>>},
    {"upper", Keeps<Case<CaseChange::kUpper>>},
    {"zfill", Keeps<ZeroFill>},
};

}  // namespace

const MethodEntry* FindStringMethod(std::string_view name) {
  for (const MethodEntry& entry : kMethods) {
    if (entry.name == name) return &entry;
  }
  return FindStringTestMethod(name);
}

}  // namespace hone::chat
