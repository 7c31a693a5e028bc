#include "core/formats/template/value_tests.h"

#include "core/formats/template/arguments.h"
#include "core/formats/template/evaluator.h"
#include "core/formats/template/filters.h"
#include "core/formats/template/methods.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"

namespace hone::chat {

namespace {

template <Kind kind>
bool IsKind(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("test", arguments);
  return value.Is(kind);
}

bool Defined(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("defined", arguments);
  return !value.Is(Kind::kUndefined);
}

template <bool wanted>
bool IsBool(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("test", arguments);
  return value.Is(Kind::kBool) && (value.integer() != 0) == wanted;
}

bool IsInteger(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("integer", arguments);
  return value.Is(Kind::kInteger) || value.IsLargeInteger();
}

bool IsFloat(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("float", arguments);
  return value.Is(Kind::kFloat) && !value.IsLargeInteger();
}

bool IsNumber(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("number", arguments);
  return value.IsNumber();
}

bool IsSequence(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("sequence", arguments);
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kRange:
      return true;
    default:
      return false;
  }
}

bool IsIterable(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("iterable", arguments);
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kRange:
    case Kind::kIterator:
    case Kind::kDictView:
    case Kind::kLoop:
      return true;
    default:
      return false;
  }
}

bool IsCallable(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("callable", arguments);
  return value.Is(Kind::kCallable) || value.Is(Kind::kLoop) || value.Is(Kind::kUndefined);
}

bool Remainder(Evaluator& evaluator, const Value& value, const Value& divisor, int64_t wanted) {
  return Equal(Arithmetic(evaluator, Operator::kModulo, value, divisor), Value::Integer(wanted));
}

bool Even(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("even", arguments);
  return Remainder(evaluator, value, Value::Integer(2), 0);
}

bool Odd(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("odd", arguments);
  return Remainder(evaluator, value, Value::Integer(2), 1);
}

bool DivisibleBy(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [divisor] = Bind<1>("divisibleby", arguments, {"num"}, 1);
  return Remainder(evaluator, value, divisor, 0);
}

template <Operator operation>
bool CompareTest(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  const auto [other] = Bind<1>("comparison", arguments, {"other"}, 1);
  return CompareWith(evaluator, operation, value, other);
}

bool SameAs(Evaluator&, const Value& value, Arguments& arguments) {
  const auto [other] = Bind<1>("sameas", arguments, {"other"}, 1);
  if (value.kind() != other.kind()) return false;
  return value.object() ? value.object() == other.object() : Equal(value, other);
}

template <bool upper>
bool HasCase(Evaluator& evaluator, const Value& value, Arguments& arguments) {
  BindNothing("test", arguments);
  const Value text = Value::String(ToText(evaluator, value));
  Arguments none;
  return Truth(FindStringMethod(upper ? "isupper" : "islower")->call(evaluator, text, none));
}

bool IsFilter(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("filter", arguments);
  return value.Is(Kind::kString) && FindFilter(value.bytes()) != nullptr;
}

bool IsTest(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("test", arguments);
  return value.Is(Kind::kString) && FindTest(value.bytes()) != nullptr;
}

bool Escaped(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("escaped", arguments);
  return value.is_markup();
}

constexpr TestEntry kTests[] = {
    {"!=", CompareTest<Operator::kNotEqual>},
    {"<", CompareTest<Operator::kLess>},
    {"<=", CompareTest<Operator::kLessEqual>},
    {"==", CompareTest<Operator::kEqual>},
    {">", CompareTest<Operator::kGreater>},
    {">=", CompareTest<Operator::kGreaterEqual>},
    {"boolean", IsKind<Kind::kBool>},
    {"callable", IsCallable},
    {"defined", Defined},
    {"divisibleby", DivisibleBy},
    {"eq", CompareTest<Operator::kEqual>},
    {"equalto", CompareTest<Operator::kEqual>},
    {"escaped", Escaped},
    {"even", Even},
    {"false", IsBool<false>},
    {"filter", IsFilter},
    {"float", IsFloat},
    {"ge", CompareTest<Operator::kGreaterEqual>},
    {"greaterthan", CompareTest<Operator::kGreater>},
    {"gt", CompareTest<Operator::kGreater>},
    {"in", CompareTest<Operator::kIn>},
    {"integer", IsInteger},
    {"iterable", IsIterable},
    {"le", CompareTest<Operator::kLessEqual>},
    {"lessthan", CompareTest<Operator::kLess>},
    {"lower", HasCase<false>},
    {"lt", CompareTest<Operator::kLess>},
    {"mapping", IsKind<Kind::kDict>},
    {"ne", CompareTest<Operator::kNotEqual>},
    {"none", IsKind<Kind::kNone>},
    {"number", IsNumber},
    {"odd", Odd},
    {"sameas", SameAs},
    {"sequence", IsSequence},
    {"string", IsKind<Kind::kString>},
    {"test", IsTest},
    {"true", IsBool<true>},
    {"undefined", IsKind<Kind::kUndefined>},
    {"upper", HasCase<true>},
};

}  // namespace

const TestEntry* FindTest(std::string_view name) {
  for (const TestEntry& entry : kTests) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace hone::chat
