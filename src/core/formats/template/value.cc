#include "core/formats/template/value.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/formats/template/failure.h"

namespace hone::chat {

namespace {

int NestingOf(const Value& value) {
  return value.object() && !value.Is(Kind::kNamespace) ? value.object()->nesting : 0;
}

template <class T>
int Sign(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

// A double and an integer by value, without the rounding of a conversion.
int CompareExactly(int64_t a, double b) {
  if (b >= 9223372036854775808.0) return -1;
  if (b < -9223372036854775808.0) return 1;
  const auto whole = static_cast<int64_t>(b);
  if (a != whole) return Sign(a, whole);
  return Sign(0.0, b - static_cast<double>(whole));
}

int CompareNumbers(const Value& a, const Value& b) {
  if (a.IsIntegral() && b.IsIntegral()) return Sign(a.integer(), b.integer());
  if (a.IsIntegral()) return CompareExactly(a.integer(), b.real());
  if (b.IsIntegral()) return -CompareExactly(b.integer(), a.real());
  return Sign(a.real(), b.real());
}

bool HasNan(const Value& a, const Value& b) {
  return (a.Is(Kind::kFloat) && std::isnan(a.real())) || (b.Is(Kind::kFloat) && std::isnan(b.real()));
}

bool EqualItems(const Values& a, const Values& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), Equal);
}

bool EqualDicts(const DictObject& a, const DictObject& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
    const Value* other = b.Find(entry.first);
    return other && Equal(entry.second, *other);
  });
}

Value MakeItems(Kind kind, Values items, bool tainted, std::string type_name) {
  auto object = std::make_shared<ItemsObject>();
  object->nesting = NestingOf(items) + 1;
  if (object->nesting > kMaximumNesting) Fail("values nested deeper than {}", kMaximumNesting);
  object->items = std::move(items);
  object->type_name = std::move(type_name);
  return Value::Of(kind, std::move(object), tainted);
}

}  // namespace

int NestingOf(const Values& items) {
  int nesting = 0;
  for (const Value& item : items) nesting = std::max(nesting, NestingOf(item));
  return nesting;
}

Value Value::Undefined(std::string why) {
  return Of(Kind::kUndefined, std::make_shared<TextObject>(Text(std::move(why), {})));
}

Value Value::Float(double value, bool tainted) {
  Value result(Kind::kFloat, 0, tainted);
  result.real_ = value;
  return result;
}

Value Value::String(Text text) { return Of(Kind::kString, std::make_shared<TextObject>(std::move(text))); }

Value Value::String(std::string bytes, bool tainted) {
  std::vector<Run> runs;
  if (tainted) AddRun(runs, 0, bytes.size());
  return String(Text(std::move(bytes), std::move(runs)));
}

Value Value::Markup(Text text) {
  Value value = String(std::move(text));
  value.is_markup_ = true;
  return value;
}

Value Value::LargeInteger(uint64_t value, bool tainted) {
  Value result = Float(static_cast<double>(value), tainted);
  result.object_ = std::make_shared<TextObject>(Text(std::to_string(value), {}));
  return result;
}

Value Value::List(Values items, bool tainted) {
  return MakeItems(Kind::kList, std::move(items), tainted, "list");
}
Value Value::Tuple(Values items, bool tainted) {
  return MakeItems(Kind::kTuple, std::move(items), tainted, "tuple");
}
Value Value::Iterator(Values items, std::string type_name) {
  return MakeItems(Kind::kIterator, std::move(items), false, std::move(type_name));
}

Value Value::Of(Kind kind, std::shared_ptr<Object> object, bool tainted) {
  Value value(kind, 0, tainted);
  value.object_ = std::move(object);
  return value;
}

const Values& Value::items() const { return As<ItemsObject>().items; }

int64_t RangeObject::size() const {
  if (step > 0)
    return start < stop ? static_cast<int64_t>((static_cast<__int128>(stop) - start + step - 1) / step) : 0;
  return start > stop ? static_cast<int64_t>((static_cast<__int128>(start) - stop - step - 1) /
                                             -static_cast<__int128>(step))
                      : 0;
}

namespace {
// A dict with fewer entries is searched from front to back.
constexpr size_t kIndexedFrom = 12;
}  // namespace

std::optional<size_t> DictObject::Position(const Value& key) const {
  if (index_.empty()) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (Equal(entries[i].first, key)) return i;
    }
    return std::nullopt;
  }
  const auto [begin, end] = index_.equal_range(Hash(key));
  for (auto it = begin; it != end; ++it) {
    if (Equal(entries[it->second].first, key)) return it->second;
  }
  return std::nullopt;
}

const Value* DictObject::Find(const Value& key) const {
  if (key.Is(Kind::kString)) return Find(key.bytes());
  Hash(key);
  const auto at = Position(key);
  return at ? &entries[*at].second : nullptr;
}

const Value* DictObject::Find(std::string_view key) const {
  const auto same = [&](size_t i) {
    return entries[i].first.Is(Kind::kString) && entries[i].first.bytes() == key;
  };
  if (index_.empty()) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (same(i)) return &entries[i].second;
    }
    return nullptr;
  }
  const auto [begin, end] = index_.equal_range(std::hash<std::string_view>()(key));
  for (auto it = begin; it != end; ++it) {
    if (same(it->second)) return &entries[it->second].second;
  }
  return nullptr;
}

void DictObject::Set(Value key, Value value) {
  const size_t hash = Hash(key);
  nesting = std::max({nesting, NestingOf(value) + 1, NestingOf(key) + 1});
  if (nesting > kMaximumNesting) Fail("values nested deeper than {}", kMaximumNesting);
  if (const auto at = Position(key)) {
    entries[*at].second = std::move(value);
    return;
  }
  entries.emplace_back(std::move(key), std::move(value));
  if (!index_.empty()) {
    index_.emplace(hash, entries.size() - 1);
  } else if (entries.size() >= kIndexedFrom) {
    for (size_t i = 0; i < entries.size(); ++i) index_.emplace(Hash(entries[i].first), i);
  }
}

Value* NamespaceObject::Find(std::string_view name) {
  for (auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::string TypeName(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
      return "nothing";
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInteger:
      return "int";
    case Kind::kFloat:
      return value.IsLargeInteger() ? "int" : "float";
    case Kind::kString:
      return value.is_markup() ? "Markup" : "str";
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kIterator:
    case Kind::kDictView:
      return value.As<ItemsObject>().type_name;
    case Kind::kDict:
      return "dict";
    case Kind::kRange:
      return "range";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kCallable:
      return "function";
    case Kind::kLoop:
      return "LoopContext";
  }
  return "object";
}

std::optional<int64_t> Length(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      return value.text().length();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDictView:
      return static_cast<int64_t>(value.items().size());
    case Kind::kDict:
      return static_cast<int64_t>(value.As<DictObject>().entries.size());
    case Kind::kRange:
      return value.As<RangeObject>().size();
    default:
      return std::nullopt;
  }
}

bool Truth(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInteger:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.real() != 0;
    default:
      return Length(value).value_or(1) != 0;
  }
}

bool Equal(const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) return !HasNan(a, b) && CompareNumbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.bytes() == b.bytes();
    case Kind::kList:
    case Kind::kTuple:
      return a.object() == b.object() || EqualItems(a.items(), b.items());
    case Kind::kDict:
      return a.object() == b.object() || EqualDicts(a.As<DictObject>(), b.As<DictObject>());
    case Kind::kRange: {
      const auto& x = a.As<RangeObject>();
      const auto& y = b.As<RangeObject>();
      return x.size() == y.size() &&
             (x.size() == 0 || (x.start == y.start && (x.size() == 1 || x.step == y.step)));
    }
    default:
      return a.object() == b.object();
  }
}

int Compare(const Value& a, const Value& b, std::string_view operation) {
  if (a.Is(Kind::kUndefined) || b.Is(Kind::kUndefined)) Fail("{}", (a.Is(Kind::kUndefined) ? a : b).bytes());
  if (a.IsNumber() && b.IsNumber()) return CompareNumbers(a, b);
  if (a.Is(Kind::kString) && b.Is(Kind::kString)) return Sign(a.bytes().compare(b.bytes()), 0);
  if (a.kind() == b.kind() && (a.Is(Kind::kList) || a.Is(Kind::kTuple))) {
    const Values& x = a.items();
    const Values& y = b.items();
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!Equal(x[i], y[i])) return Compare(x[i], y[i], operation);
    }
    return Sign(x.size(), y.size());
  }
  Fail("'{}' not supported between instances of '{}' and '{}'", operation, TypeName(a), TypeName(b));
}

size_t Hash(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return 0;
    case Kind::kBool:
    case Kind::kInteger:
      return std::hash<int64_t>()(value.integer());
    case Kind::kFloat: {
      const double real = value.real();
      const bool whole = real >= -9.2e18 && real <= 9.2e18 && real == std::floor(real);
      return whole ? std::hash<int64_t>()(static_cast<int64_t>(real)) : std::hash<double>()(real);
    }
    case Kind::kString:
      return std::hash<std::string_view>()(value.bytes());
    case Kind::kTuple: {
      size_t hash = 0x9E3779B9;
      for (const Value& item : value.items()) hash = hash * 1000003 ^ Hash(item);
      return hash;
    }
    case Kind::kList:
    case Kind::kDict:
      Fail("unhashable type: '{}'", TypeName(value));
    default:
      return std::hash<const void*>()(value.object().get());
  }
}

}  // namespace hone::chat
