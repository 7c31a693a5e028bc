// Attributes, items and slices.
#include <algorithm>
#include <charconv>

#include "core/formats/template/evaluator.h"
#include "core/formats/template/loop.h"
#include "core/formats/template/methods.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"
#include "core/formats/template/unicode.h"

namespace hone::chat {

namespace {

Value NoAttribute(const Value& value, std::string_view name) {
  const std::string type = value.Is(Kind::kNone) ? "None" : fmt::format("{} object", TypeName(value));
  return Value::Undefined(fmt::format("'{}' has no attribute '{}'", type, name));
}

Value NoElement(Evaluator& evaluator, const Value& value, const Value& key) {
  if (key.Is(Kind::kString)) return NoAttribute(value, key.bytes());
  const std::string type = value.Is(Kind::kNone) ? "None" : fmt::format("{} object", TypeName(value));
  TextBuilder name;
  AppendRepr(evaluator, name, key);
  return Value::Undefined(fmt::format("{} has no element {}", type, name.TakeBytes()));
}

// What Python's getattr gives: a method, a field of a group, an attribute of a loop; missing where there is
// none.
Value FindAttribute(Evaluator& evaluator, const Value& value, std::string_view name) {
  if (IsUnsafe(value, name)) {
    return Value::Undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, TypeName(value)));
  }
  if (const MethodEntry* method = FindMethod(value, name)) return BindMethod(value, method);
  if (value.Is(Kind::kLoop)) return value.As<LoopObject>().Attribute(evaluator, name);
  if (value.Is(Kind::kCallable)) return value.As<CallableObject>().Attribute(name);
  if (value.Is(Kind::kNamespace)) {
    const Value* attribute = value.As<NamespaceObject>().Find(name);
    return attribute ? *attribute : Value();
  }
  if (value.Is(Kind::kTuple)) {
    const auto& group = value.As<ItemsObject>();
    for (size_t i = 0; i < group.field_names.size(); ++i) {
      if (group.field_names[i] == name) return group.items[i];
    }
  }
  return {};
}

// Python's value[key]; missing where it raises LookupError or TypeError.
Value FindItem(Evaluator& evaluator, const Value& value, const Value& key) {
  if (value.Is(Kind::kDict)) {
    if (key.Is(Kind::kList) || key.Is(Kind::kDict)) return {};
    const Value* item = value.As<DictObject>().Find(key);
    return item ? *item : Value();
  }
  if (!key.IsIntegral()) return {};
  const bool indexable =
      value.Is(Kind::kString) || value.Is(Kind::kList) || value.Is(Kind::kTuple) || value.Is(Kind::kRange);
  if (!indexable) return {};
  const int64_t size = *Length(value);
  const int64_t index = key.integer() < 0 ? key.integer() + size : key.integer();
  if (index < 0 || index >= size) return {};
  if (value.Is(Kind::kRange)) {
    const auto& range = value.As<RangeObject>();
    return Value::Integer(range.start + index * range.step);
  }
  if (!value.Is(Kind::kString)) return value.items()[static_cast<size_t>(index)];
  evaluator.Charge(index / 64);
  const size_t begin = value.text().Offset(index);
  return value.StringLike(value.text().Slice(begin, begin + DecodeAt(value.bytes(), begin).size));
}

int64_t ClampBound(const Value& bound, int64_t otherwise, int64_t size, int64_t low, int64_t high) {
  if (bound.Is(Kind::kMissing) || bound.Is(Kind::kNone)) return otherwise;
  if (bound.Is(Kind::kUndefined)) Fail("{}", bound.bytes());
  if (!bound.IsIntegral()) Fail("slice indices must be integers or None or have an __index__ method");
  const int64_t index = bound.integer() < 0 ? bound.integer() + size : bound.integer();
  return std::clamp(index, low, high);
}

// Positions start, start + step, ... of a sequence of `size` elements, as Python slices.
struct SliceRange {
  int64_t start, step, count;
};

SliceRange ResolveSlice(const Value& start, const Value& stop, const Value& step_value, int64_t size) {
  int64_t step = 1;
  if (!step_value.Is(Kind::kMissing) && !step_value.Is(Kind::kNone)) {
    if (!step_value.IsIntegral()) Fail("slice indices must be integers or None or have an __index__ method");
    step = step_value.integer();
  }
  if (step == 0) Fail("slice step cannot be zero");
  // Steps beyond the sequence's size are alike.
  step = std::clamp(step, -size - 1, size + 1);
  if (step > 0) {
    const int64_t from = ClampBound(start, 0, size, 0, size);
    const int64_t to = ClampBound(stop, size, size, 0, size);
    return {from, step, from < to ? (to - from + step - 1) / step : 0};
  }
  if (step == 0) step = -1;  // an empty sequence
  const int64_t from = ClampBound(start, size - 1, size, -1, size - 1);
  const int64_t to = ClampBound(stop, -1, size, -1, size - 1);
  return {from, step, from > to ? (from - to - step - 1) / -step : 0};
}

}  // namespace

Value GetAttribute(Evaluator& evaluator, const Value& value, std::string_view name) {
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  Value found = FindAttribute(evaluator, value, name);
  if (!found.Is(Kind::kMissing)) return found;
  if (value.Is(Kind::kDict)) {
    if (const Value* item = value.As<DictObject>().Find(name)) return *item;
  }
  return NoAttribute(value, name);
}

Value GetItem(Evaluator& evaluator, const Value& value, const Value& key) {
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  Value found = FindItem(evaluator, value, key);
  if (!found.Is(Kind::kMissing)) return found;
  if (key.Is(Kind::kString)) {
    found = FindAttribute(evaluator, value, key.bytes());
    if (!found.Is(Kind::kMissing)) return found;
  }
  return NoElement(evaluator, value, key);
}

Value GetSlice(Evaluator& evaluator, const Value& value, const Value& start, const Value& stop,
               const Value& step) {
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  const bool sliceable =
      value.Is(Kind::kString) || value.Is(Kind::kList) || value.Is(Kind::kTuple) || value.Is(Kind::kRange);
  if (!sliceable) {
    return Value::Undefined(fmt::format("{} object has no element slice(...)", TypeName(value)));
  }
  const SliceRange range = ResolveSlice(start, stop, step, *Length(value));
  if (value.Is(Kind::kString)) {
    const Text& text = value.text();
    if (range.step == 1) {
      const size_t begin = text.Offset(range.start);
      const size_t end = text.Offset(range.start + range.count);
      evaluator.ChargeBytes(end);
      return value.StringLike(text.Slice(begin, end));
    }
    const Values characters = ToList(evaluator, value);
    TextBuilder out;
    for (int64_t i = 0; i < range.count; ++i) {
      out.Append(characters[static_cast<size_t>(range.start + i * range.step)].text());
    }
    return value.StringLike(out.Take());
  }
  if (value.Is(Kind::kRange)) {
    const auto& all = value.As<RangeObject>();
    auto part = std::make_shared<RangeObject>();
    part->start = all.start + range.start * all.step;
    part->step = all.step * range.step;
    part->stop = part->start + range.count * part->step;
    return Value::Of(Kind::kRange, std::move(part));
  }
  const Values all = ToList(evaluator, value);
  Values items;
  items.reserve(static_cast<size_t>(range.count));
  for (int64_t i = 0; i < range.count; ++i)
    items.push_back(all[static_cast<size_t>(range.start + i * range.step)]);
  return value.Is(Kind::kTuple) ? Value::Tuple(std::move(items), value.tainted())
                                : Value::List(std::move(items), value.tainted());
}

Value GetPath(Evaluator& evaluator, const Value& value, const Value& path, const Value& otherwise) {
  const auto step = [&](const Value& from, const Value& key) {
    Value item = GetItem(evaluator, from, key);
    return item.Is(Kind::kUndefined) && !otherwise.Is(Kind::kMissing) ? otherwise : item;
  };
  if (path.Is(Kind::kMissing) || path.Is(Kind::kNone)) return value;
  if (!path.Is(Kind::kString)) return step(value, path);
  Value at = value;
  std::string_view rest = path.bytes();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int64_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool is_number = error == std::errc() && end == part.data() + part.size() && part[0] != '-';
    at = step(at, is_number ? Value::Integer(index) : Value::String(std::string(part), false));
    if (dot == std::string_view::npos) return at;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace hone::chat
