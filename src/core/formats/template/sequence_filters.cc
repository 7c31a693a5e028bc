// Filters over sequences that keep all elements or make one value of them.
#include <algorithm>

#include "core/formats/template/arguments.h"
#include "core/formats/template/evaluator.h"
#include "core/formats/template/filters.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"
#include "core/formats/template/text_operations.h"

namespace hone::chat {

namespace {

// What sort, min, max, unique and groupby compare by.
class KeyOf {
 public:
  KeyOf(Evaluator& evaluator, const Value& attribute, bool case_sensitive, const Value& otherwise = {})
      : evaluator_(evaluator),
        attribute_(attribute),
        otherwise_(otherwise),
        case_sensitive_(case_sensitive) {}

  Value operator()(const Value& item) const {
    return Fold(GetPath(evaluator_, item, attribute_, otherwise_));
  }
  Value Fold(const Value& key) const {
    if (case_sensitive_ || !key.Is(Kind::kString)) return key;
    return Value::String(WithCase(evaluator_, key.text(), CaseChange::kLower));
  }

 private:
  Evaluator& evaluator_;
  const Value& attribute_;
  Value otherwise_;
  bool case_sensitive_;
};

// A stable order by key, reversed as Python's sorted(reverse=True): equal elements keep their order.
template <class Less>
void SortStably(std::vector<std::pair<Value, Value>>& keyed, bool reverse, Evaluator& evaluator, Less less) {
  evaluator.Charge(static_cast<int64_t>(keyed.size()) * 4);
  const auto before = [&](const auto& a, const auto& b) {
    evaluator.Charge(1);
    return reverse ? less(b.first, a.first) : less(a.first, b.first);
  };
  std::stable_sort(keyed.begin(), keyed.end(), before);
}

bool LessThan(const Value& a, const Value& b) { return Compare(a, b, "<") < 0; }

// sort(attribute="a,b") compares by several attributes.
Value SortKey(Evaluator& evaluator, const Value& item, const Value& attribute, bool case_sensitive) {
  if (!attribute.Is(Kind::kString) || attribute.bytes().find(',') == std::string_view::npos) {
    return KeyOf(evaluator, attribute, case_sensitive)(item);
  }
  Values keys;
  std::string_view rest = attribute.bytes();
  while (true) {
    const size_t comma = rest.find(',');
    const Value part = Value::String(std::string(rest.substr(0, comma)), false);
    keys.push_back(KeyOf(evaluator, part, case_sensitive)(item));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return Value::List(std::move(keys));
}

Value Sort(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [reverse, case_sensitive, attribute] =
      Bind<3>("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& item : ToList(evaluator, value)) {
    Value key = SortKey(evaluator, item, attribute, BoolOr(case_sensitive, false));
    keyed.emplace_back(std::move(key), std::move(item));
  }
  SortStably(keyed, BoolOr(reverse, false), evaluator, LessThan);
  Values sorted;
  for (auto& [key, item] : keyed) sorted.push_back(std::move(item));
  return Value::List(std::move(sorted), value.tainted());
}

Value DictSort(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [case_sensitive, by, reverse] =
      Bind<3>("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  if (!value.Is(Kind::kDict)) Fail("'{}' object has no attribute 'items'", TypeName(value));
  const std::string_view what = by.Is(Kind::kString) ? by.bytes() : "key";
  if (what != "key" && what != "value") Fail("You can only sort by either \"key\" or \"value\"");
  const KeyOf key_of(evaluator, {}, BoolOr(case_sensitive, false));
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, item] : value.As<DictObject>().entries) {
    keyed.emplace_back(key_of.Fold(what == "key" ? key : item), Value::Tuple({key, item}, value.tainted()));
  }
  SortStably(keyed, BoolOr(reverse, false), evaluator, LessThan);
  Values sorted;
  for (auto& [key, item] : keyed) sorted.push_back(std::move(item));
  return Value::List(std::move(sorted), value.tainted());
}

template <bool largest>
Value Extreme(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [case_sensitive, attribute] =
      Bind<2>(largest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const Values items = ToList(evaluator, value);
  if (items.empty()) return Value::Undefined("No aggregated item, sequence was empty.");
  const KeyOf key_of(evaluator, attribute, BoolOr(case_sensitive, false));
  size_t best = 0;
  Value best_key = key_of(items[0]);
  for (size_t i = 1; i < items.size(); ++i) {
    Value key = key_of(items[i]);
    if (largest ? Compare(key, best_key, ">") > 0 : Compare(key, best_key, "<") < 0) {
      best = i;
      best_key = std::move(key);
    }
  }
  return items[best];
}

Value Unique(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [case_sensitive, attribute] = Bind<2>("unique", arguments, {"case_sensitive", "attribute"});
  const KeyOf key_of(evaluator, attribute, BoolOr(case_sensitive, false));
  DictObject seen;
  Values items;
  for (Value& item : ToList(evaluator, value)) {
    Value key = key_of(item);
    if (seen.Find(key)) continue;
    seen.Set(std::move(key), Value::None());
    items.push_back(std::move(item));
  }
  return Value::Iterator(std::move(items));
}

Value GroupBy(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [attribute, otherwise, case_sensitive] =
      Bind<3>("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const bool sensitive = BoolOr(case_sensitive, false);
  const KeyOf key_of(evaluator, attribute, sensitive, otherwise);
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& item : ToList(evaluator, value)) {
    Value key = key_of(item);
    keyed.emplace_back(std::move(key), std::move(item));
  }
  SortStably(keyed, false, evaluator, LessThan);
  Values groups;
  for (size_t i = 0; i < keyed.size();) {
    const Value key = keyed[i].first;
    // The group is named by its first element's own key, with the case that it is written in.
    const Value name = GetPath(evaluator, keyed[i].second, attribute, otherwise);
    Values members;
    while (i < keyed.size() && Equal(keyed[i].first, key)) members.push_back(std::move(keyed[i++].second));
    Value group = Value::Tuple({name, Value::List(std::move(members))});
    group.As<ItemsObject>().field_names = {"grouper", "list"};
    groups.push_back(std::move(group));
  }
  return Value::List(std::move(groups));
}

Value JoinFilter(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [separator, attribute] = Bind<2>("join", arguments, {"d", "attribute"});
  std::vector<Text> parts;
  for (const Value& item : ToList(evaluator, value)) {
    parts.push_back(ToText(evaluator, GetPath(evaluator, item, attribute, {})));
  }
  const Text between = separator.Is(Kind::kMissing) ? Text() : ToText(evaluator, separator);
  return Value::String(Join(evaluator, between, parts));
}

Value First(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("first", arguments);
  if (value.Is(Kind::kIterator)) {
    auto& items = value.As<ItemsObject>().items;
    if (items.empty()) return Value::Undefined("No first item, sequence was empty.");
    const Value first = items.front();
    evaluator.Charge(static_cast<int64_t>(items.size() / 8));
    items.erase(items.begin());
    return first;
  }
  const Values items = ToList(evaluator, value);
  return items.empty() ? Value::Undefined("No first item, sequence was empty.") : items.front();
}

Value Last(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("last", arguments);
  if (value.Is(Kind::kIterator)) Fail("'{}' object is not reversible", TypeName(value));
  const Values items = ToList(evaluator, value);
  if (items.empty()) return Value::Undefined("No last item, sequence was empty.");
  return value.is_markup() ? Value::Markup(items.back().text()) : items.back();
}

Value ListFilter(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("list", arguments);
  return Value::List(ToList(evaluator, value), value.tainted());
}

Value Items(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("items", arguments);
  if (value.Is(Kind::kUndefined)) return Value::Iterator({});
  if (!value.Is(Kind::kDict)) Fail("Can only get item pairs from a mapping.");
  Values items;
  for (const auto& [key, item] : value.As<DictObject>().entries) {
    items.push_back(Value::Tuple({key, item}, value.tainted()));
  }
  evaluator.Charge(static_cast<int64_t>(items.size()));
  return Value::Iterator(std::move(items));
}

Value Reverse(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("reverse", arguments);
  Values items = ToList(evaluator, value);
  if (value.Is(Kind::kString)) {
    TextBuilder out;
    for (size_t i = items.size(); i-- > 0;) out.Append(items[i].text());
    return value.StringLike(out.Take());
  }
  std::reverse(items.begin(), items.end());
  return Value::Iterator(std::move(items), value.Is(Kind::kList) ? "list_reverseiterator" : "reversed");
}

Value Sum(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [attribute, start] = Bind<2>("sum", arguments, {"attribute", "start"});
  Value total = start.Is(Kind::kMissing) ? Value::Integer(0) : start;
  if (total.Is(Kind::kString)) Fail("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : ToList(evaluator, value)) {
    total = Arithmetic(evaluator, Operator::kAdd, total, GetPath(evaluator, item, attribute, {}));
  }
  return total;
}

constexpr FilterEntry kFilters[] = {
    {"dictsort", DictSort},  {"first", First},     {"groupby", GroupBy}, {"items", Items},
    {"join", JoinFilter},    {"last", Last},       {"list", ListFilter}, {"max", Extreme<true>},
    {"min", Extreme<false>}, {"reverse", Reverse}, {"sort", Sort},       {"sum", Sum},
    {"unique", Unique},
};

}  // namespace

std::span<const FilterEntry> SequenceFilters() { return kFilters; }

}  // namespace hone::chat
