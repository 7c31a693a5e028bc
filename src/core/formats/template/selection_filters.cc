// Filters over sequences that choose, change or cut up elements.
#include <algorithm>

#include "core/formats/template/arguments.h"
#include "core/formats/template/evaluator.h"
#include "core/formats/template/filters.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"
#include "core/formats/template/value_tests.h"

namespace hone::chat {

namespace {

// Takes the first positional argument off; missing where there is none.
Value TakeFirst(Arguments& arguments) {
  if (arguments.positional.empty()) return {};
  Value first = std::move(arguments.positional.front());
  arguments.positional.erase(arguments.positional.begin());
  return first;
}

Value Map(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  if (!Truth(value)) return Value::Iterator({});
  Values items = ToList(evaluator, value);
  Value attribute, otherwise;
  const bool by_attribute = arguments.positional.empty();
  if (by_attribute) {
    for (auto& [name, argument] : arguments.named) {
      if (name != "attribute" && name != "default") Fail("Unexpected keyword argument '{}'", name);
      (name == "attribute" ? attribute : otherwise) = argument;
    }
    if (attribute.Is(Kind::kMissing)) Fail("map requires a filter argument");
    if (otherwise.Is(Kind::kNone)) otherwise = Value();
    for (Value& item : items) item = GetPath(evaluator, item, attribute, otherwise);
    return Value::Iterator(std::move(items));
  }
  const Value name = TakeFirst(arguments);
  if (!name.Is(Kind::kString)) Fail("map: the filter's name must be a string");
  const FilterEntry* filter = FindFilter(name.bytes());
  if (!filter) Fail("unknown filter '{}'", name.bytes());
  for (Value& item : items) {
    evaluator.Charge(1);
    Arguments copy = arguments;
    item = filter->apply(evaluator, item, copy);
  }
  return Value::Iterator(std::move(items));
}

template <bool keep, bool by_attribute>
Value Select(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  if (!Truth(value)) return Value::Iterator({});
  Value attribute;
  if (by_attribute) {
    attribute = TakeFirst(arguments);
    if (attribute.Is(Kind::kMissing)) Fail("Missing parameter for attribute name");
  }
  const Value name = TakeFirst(arguments);
  const TestEntry* test = nullptr;
  if (!name.Is(Kind::kMissing)) {
    if (!name.Is(Kind::kString)) Fail("the test's name must be a string");
    test = FindTest(name.bytes());
    if (!test) Fail("unknown test '{}'", name.bytes());
  }
  Values kept;
  for (Value& item : ToList(evaluator, value)) {
    evaluator.Charge(1);
    const Value subject = GetPath(evaluator, item, attribute, {});
    Arguments copy = arguments;
    if ((test ? test->holds(evaluator, subject, copy) : Truth(subject)) == keep)
      kept.push_back(std::move(item));
  }
  return Value::Iterator(std::move(kept));
}

Value Batch(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [count_value, fill] = Bind<2>("batch", arguments, {"linecount", "fill_with"}, 1);
  const int64_t count = IntegerOr(count_value, 1, "batch");
  Values batches, batch;
  for (Value& item : ToList(evaluator, value)) {
    if (static_cast<int64_t>(batch.size()) == count) batches.push_back(Value::List(std::exchange(batch, {})));
    batch.push_back(std::move(item));
  }
  if (!batch.empty()) {
    const bool fills = !fill.Is(Kind::kMissing) && !fill.Is(Kind::kNone);
    if (fills) evaluator.Charge(std::max<int64_t>(0, count - static_cast<int64_t>(batch.size())));
    while (fills && static_cast<int64_t>(batch.size()) < count) batch.push_back(fill);
    batches.push_back(Value::List(std::move(batch)));
  }
  return Value::Iterator(std::move(batches));
}

Value Slice(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [count_value, fill] = Bind<2>("slice", arguments, {"slices", "fill_with"}, 1);
  const int64_t count = IntegerOr(count_value, 1, "slice");
  const Values items = ToList(evaluator, value);
  if (count == 0) Fail("integer division or modulo by zero");
  const auto size = static_cast<int64_t>(items.size());
  evaluator.Charge(std::max<int64_t>(count, 0));
  Values slices;
  int64_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    const bool longer = i < size % count;
    const int64_t length = size / count + (longer ? 1 : 0);
    Values part(items.begin() + at, items.begin() + at + length);
    at += length;
    if (!longer && size % count != 0 && !fill.Is(Kind::kMissing) && !fill.Is(Kind::kNone))
      part.push_back(fill);
    slices.push_back(Value::List(std::move(part)));
  }
  return Value::Iterator(std::move(slices));
}

// attr(name): an attribute only, never an item.
Value Attribute(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [name] = Bind<1>("attr", arguments, {"name"}, 1);
  const Text text = ToText(evaluator, name);
  if (value.Is(Kind::kDict)) {
    const Value bare = Value::Of(Kind::kDict, std::make_shared<DictObject>());
    const Value found = GetAttribute(evaluator, bare, text.bytes());
    if (found.Is(Kind::kUndefined)) return found;
  }
  if (value.Is(Kind::kUndefined)) return Value::Undefined(std::string(value.bytes()));
  return GetAttribute(evaluator, value, text.bytes());
}

constexpr FilterEntry kFilters[] = {
    {"attr", Attribute},
    {"batch", Batch},
    {"map", Map},
    {"reject", Select<false, false>},
    {"rejectattr", Select<false, true>},
    {"select", Select<true, false>},
    {"selectattr", Select<true, true>},
    {"slice", Slice},
};

}  // namespace

std::span<const FilterEntry> SelectionFilters() { return kFilters; }

}  // namespace hone::chat
