// Methods of lists, tuples and dicts, and which attributes the sandbox refuses.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/formats/template/arguments.h"
#include "core/formats/template/evaluator.h"
#include "core/formats/template/methods.h"
#include "core/formats/template/operators.h"

namespace hone::chat {

namespace {

using Self = const Value&;

struct BoundMethod : CallableObject {
  Value self;
  const MethodEntry* method = nullptr;
  Value Call(Evaluator& evaluator, Arguments& arguments) override {
    return method->call(evaluator, self, arguments);
  }
};

Value DictGet(Evaluator&, Self self, Arguments& arguments) {
  if (!arguments.named.empty()) Fail("dict.get() takes no keyword arguments");
  auto [key, otherwise] = Bind<2>("get", arguments, {"key", "default"}, 1);
  if (const Value* value = self.As<DictObject>().Find(key)) return *value;
  return otherwise.Is(Kind::kMissing) ? Value::None() : otherwise;
}

Value View(Values items, std::string type_name, bool tainted) {
  auto object = std::make_shared<ItemsObject>();
  object->nesting = NestingOf(items) + 1;
  object->items = std::move(items);
  object->type_name = std::move(type_name);
  return Value::Of(Kind::kDictView, std::move(object), tainted);
}

Value DictItems(Evaluator& evaluator, Self self, Arguments& arguments) {
  BindNothing("items", arguments);
  const auto& entries = self.As<DictObject>().entries;
  evaluator.Charge(static_cast<int64_t>(entries.size()));
  Values items;
  items.reserve(entries.size());
  for (const auto& [key, value] : entries) items.push_back(Value::Tuple({key, value}, self.tainted()));
  return View(std::move(items), "dict_items", self.tainted());
}

Value DictKeys(Evaluator& evaluator, Self self, Arguments& arguments) {
  BindNothing("keys", arguments);
  return View(ToList(evaluator, self), "dict_keys", self.tainted());
}

Value DictValues(Evaluator& evaluator, Self self, Arguments& arguments) {
  BindNothing("values", arguments);
  const auto& entries = self.As<DictObject>().entries;
  evaluator.Charge(static_cast<int64_t>(entries.size()));
  Values values;
  for (const auto& entry : entries) values.push_back(entry.second);
  return View(std::move(values), "dict_values", self.tainted());
}

Value Copy(Evaluator&, Self self, Arguments& arguments) {
  BindNothing("copy", arguments);
  return self;  // containers do not change, so a copy is the same
}

Value ListIndex(Evaluator&, Self self, Arguments& arguments) {
  const auto [wanted, start] = Bind<2>("index", arguments, {"value", "start"}, 1);
  const Values& items = self.items();
  const auto size = static_cast<int64_t>(items.size());
  int64_t from = IntegerOr(start, 0, "index");
  if (from < 0) from = std::max<int64_t>(from + size, 0);
  for (int64_t i = from; i < size; ++i) {
    if (Equal(items[static_cast<size_t>(i)], wanted)) return Value::Integer(i);
  }
  Fail("the value is not in the {}", TypeName(self));
}

Value ListCount(Evaluator&, Self self, Arguments& arguments) {
  const auto [wanted] = Bind<1>("count", arguments, {"value"}, 1);
  const Value& value = wanted;
  return Value::Integer(std::count_if(self.items().begin(), self.items().end(),
                                      [&](const Value& item) { return Equal(item, value); }));
}

Value FloatIsInteger(Evaluator&, Self self, Arguments& arguments) {
  BindNothing("is_integer", arguments);
  return Value::Bool(std::isfinite(self.real()) && self.real() == std::floor(self.real()));
}

constexpr MethodEntry kDictMethods[] = {
    {"get", DictGet}, {"items", DictItems}, {"keys", DictKeys}, {"values", DictValues}, {"copy", Copy},
};
constexpr MethodEntry kTupleMethods[] = {{"index", ListIndex}, {"count", ListCount}};
constexpr MethodEntry kListMethods[] = {{"index", ListIndex}, {"count", ListCount}, {"copy", Copy}};
constexpr MethodEntry kFloatMethods[] = {{"is_integer", FloatIsInteger}};

template <class Table>
const MethodEntry* FindIn(const Table& table, std::string_view name) {
  for (const MethodEntry& entry : table) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

constexpr std::array<std::string_view, 8> kListMutations = {"append", "clear", "pop",    "reverse",
                                                            "insert", "sort",  "extend", "remove"};
constexpr std::array<std::string_view, 5> kDictMutations = {"clear", "pop", "popitem", "setdefault",
                                                            "update"};
// What every Python object has; the sandbox hides it.
constexpr std::array<std::string_view, 12> kInternal = {
    "__class__", "__init__", "__dict__",  "__doc__",        "__module__",       "__globals__",
    "__mro__",   "__base__", "__bases__", "__subclasses__", "__getattribute__", "__reduce__"};

template <size_t N>
bool Has(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

const MethodEntry* FindMethod(const Value& self, std::string_view name) {
  switch (self.kind()) {
    case Kind::kString:
      return FindStringMethod(name);
    case Kind::kDict:
      return FindIn(kDictMethods, name);
    case Kind::kList:
      return FindIn(kListMethods, name);
    case Kind::kTuple:
      return FindIn(kTupleMethods, name);
    case Kind::kFloat:
      return FindIn(kFloatMethods, name);
    default:
      return nullptr;
  }
}

bool IsUnsafe(const Value& self, std::string_view name) {
  if (self.Is(Kind::kList) && Has(kListMutations, name)) return true;
  if (self.Is(Kind::kDict) && Has(kDictMutations, name)) return true;
  return name.starts_with("__") && Has(kInternal, name);
}

Value BindMethod(const Value& self, const MethodEntry* method) {
  auto bound = std::make_shared<BoundMethod>();
  bound->name = std::string(method->name);
  bound->nesting = self.object() ? self.object()->nesting + 1 : 1;
  bound->self = self;
  bound->method = method;
  return Value::Of(Kind::kCallable, std::move(bound));
}

}  // namespace hone::chat
