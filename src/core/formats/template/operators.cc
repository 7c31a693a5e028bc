#include "core/formats/template/operators.h"

#include <algorithm>
#include <cmath>

#include "core/formats/template/evaluator.h"
#include "core/formats/template/format.h"
#include "core/formats/template/printing.h"
#include "core/formats/template/text_operations.h"
#include "core/formats/template/unicode.h"

namespace hone::chat {

namespace {

[[noreturn]] void FailOperands(std::string_view sign, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (value->Is(Kind::kUndefined)) Fail("{}", value->bytes());
  }
  Fail("unsupported operand type(s) for {}: '{}' and '{}'", sign, TypeName(a), TypeName(b));
}

[[noreturn]] void FailOverflow() { Fail("an integer does not fit 64 bits"); }

int64_t FloorDivide(int64_t a, int64_t b) {
  if (b == -1) {
    if (a == INT64_MIN) FailOverflow();
    return -a;
  }
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

double FloorModulo(double a, double b) {
  double remainder = std::fmod(a, b);
  if (remainder != 0) {
    if ((b < 0) != (remainder < 0)) remainder += b;
  } else {
    remainder = std::copysign(0.0, b);
  }
  return remainder;
}

int64_t IntegerPower(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) FailOverflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) FailOverflow();
  }
  return result;
}

Value IntegerArithmetic(Operator operation, int64_t a, int64_t b, bool tainted) {
  int64_t result = 0;
  bool overflow = false;
  switch (operation) {
    case Operator::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kFloorDivide:
    case Operator::kModulo:
      if (b == 0) Fail("integer division or modulo by zero");
      result = operation == Operator::kFloorDivide ? FloorDivide(a, b)
               : b == -1                           ? 0
                                                   : a - FloorDivide(a, b) * b;
      break;
    case Operator::kPower:
      if (b < 0) {
        if (a == 0) Fail("0.0 cannot be raised to a negative power");
        return Value::Float(std::pow(static_cast<double>(a), static_cast<double>(b)), tainted);
      }
      result = IntegerPower(a, b);
      break;
    default:
      if (b == 0) Fail("division by zero");
      return Value::Float(static_cast<double>(a) / static_cast<double>(b), tainted);
  }
  if (overflow) FailOverflow();
  return Value::Integer(result, tainted);
}

Value FloatArithmetic(Operator operation, double a, double b, bool tainted) {
  switch (operation) {
    case Operator::kAdd:
      return Value::Float(a + b, tainted);
    case Operator::kSubtract:
      return Value::Float(a - b, tainted);
    case Operator::kMultiply:
      return Value::Float(a * b, tainted);
    case Operator::kPower:
      if (a == 0 && b < 0) Fail("0.0 cannot be raised to a negative power");
      if (a < 0 && b != std::floor(b)) Fail("complex numbers are not supported");
      return Value::Float(std::pow(a, b), tainted);
    default:
      break;
  }
  if (b == 0)
    Fail("{}", operation == Operator::kDivide ? "float division by zero" : "float floor division by zero");
  if (operation == Operator::kDivide) return Value::Float(a / b, tainted);
  const double remainder = FloorModulo(a, b);
  if (operation == Operator::kModulo) return Value::Float(remainder, tainted);
  return Value::Float(std::round((a - remainder) / b), tainted);
}

Value Repeat(Evaluator& evaluator, const Value& sequence, int64_t count) {
  if (sequence.Is(Kind::kString)) {
    evaluator.ChargeRepeat(count, sequence.bytes().size());
    TextBuilder text;
    for (int64_t i = 0; i < count; ++i) text.Append(sequence.text());
    return sequence.StringLike(text.Take());
  }
  Values items;
  const auto size = static_cast<int64_t>(sequence.items().size());
  if (count > 0 && size > 0) {
    if (count > INT32_MAX / size) Fail("a list of {} times {} elements is too long", count, size);
    evaluator.Charge(count * size);
  }
  for (int64_t i = 0; i < count; ++i)
    items.insert(items.end(), sequence.items().begin(), sequence.items().end());
  return sequence.Is(Kind::kList) ? Value::List(std::move(items), sequence.tainted())
                                  : Value::Tuple(std::move(items), sequence.tainted());
}

bool IsSequence(const Value& value) {
  return value.Is(Kind::kString) || value.Is(Kind::kList) || value.Is(Kind::kTuple);
}

// One of the two is markup: the other is escaped, and the sum is markup.
Value AddToMarkup(Evaluator& evaluator, const Value& a, const Value& b) {
  TextBuilder text;
  text.Append(EscapedText(evaluator, a));
  text.Append(EscapedText(evaluator, b));
  evaluator.ChargeBytes(text.size());
  return Value::Markup(text.Take());
}

Value Add(Evaluator& evaluator, const Value& a, const Value& b) {
  if (a.Is(Kind::kString) && b.Is(Kind::kString)) {
    if (a.is_markup() != b.is_markup()) return AddToMarkup(evaluator, a, b);
    evaluator.ChargeBytes(a.bytes().size() + b.bytes().size());
    TextBuilder text;
    text.Reserve(a.bytes().size() + b.bytes().size());
    text.Append(a.text());
    text.Append(b.text());
    return a.StringLike(text.Take());
  }
  if (a.Is(Kind::kString)) {
    if (b.Is(Kind::kUndefined)) Fail("{}", b.bytes());
    Fail("can only concatenate str (not \"{}\") to str", TypeName(b));
  }
  if (a.kind() == b.kind() && IsSequence(a)) {
    evaluator.Charge(static_cast<int64_t>(a.items().size() + b.items().size()));
    Values items = a.items();
    items.insert(items.end(), b.items().begin(), b.items().end());
    const bool tainted = a.tainted() && b.tainted();
    return a.Is(Kind::kList) ? Value::List(std::move(items), tainted)
                             : Value::Tuple(std::move(items), tainted);
  }
  FailOperands("+", a, b);
}

std::string_view Sign(Operator operation) {
  switch (operation) {
    case Operator::kAdd:
      return "+";
    case Operator::kSubtract:
      return "-";
    case Operator::kMultiply:
      return "*";
    case Operator::kDivide:
      return "/";
    case Operator::kFloorDivide:
      return "//";
    case Operator::kModulo:
      return "%";
    case Operator::kPower:
      return "** or pow()";
    case Operator::kLess:
      return "<";
    case Operator::kLessEqual:
      return "<=";
    case Operator::kGreater:
      return ">";
    case Operator::kGreaterEqual:
      return ">=";
    default:
      return "==";
  }
}

}  // namespace

Value Arithmetic(Evaluator& evaluator, Operator operation, const Value& a, const Value& b) {
  const bool tainted = a.tainted() || b.tainted();
  if (a.IsIntegral() && b.IsIntegral())
    return IntegerArithmetic(operation, a.integer(), b.integer(), tainted);
  if (a.IsNumber() && b.IsNumber()) return FloatArithmetic(operation, a.number(), b.number(), tainted);
  if (operation == Operator::kAdd) return Add(evaluator, a, b);
  if (operation == Operator::kMultiply && IsSequence(a) && b.IsIntegral())
    return Repeat(evaluator, a, b.integer());
  if (operation == Operator::kMultiply && a.IsIntegral() && IsSequence(b))
    return Repeat(evaluator, b, a.integer());
  if (operation == Operator::kModulo && a.Is(Kind::kString)) return FormatPercent(evaluator, a, b);
  FailOperands(Sign(operation), a, b);
}

Value Negate(const Value& value, bool minus) {
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  if (value.Is(Kind::kFloat)) return minus ? Value::Float(-value.real(), value.tainted()) : value;
  if (!value.IsIntegral()) Fail("bad operand type for unary {}: '{}'", minus ? "-" : "+", TypeName(value));
  if (minus && value.integer() == INT64_MIN) FailOverflow();
  return Value::Integer(minus ? -value.integer() : value.integer(), value.tainted());
}

bool CompareWith(Evaluator& evaluator, Operator operation, const Value& a, const Value& b) {
  const auto has_nan = [&] {
    return (a.Is(Kind::kFloat) && std::isnan(a.real())) || (b.Is(Kind::kFloat) && std::isnan(b.real()));
  };
  switch (operation) {
    case Operator::kEqual:
      return Equal(a, b);
    case Operator::kNotEqual:
      return !Equal(a, b);
    case Operator::kIn:
      return Contains(evaluator, b, a);
    case Operator::kNotIn:
      return !Contains(evaluator, b, a);
    case Operator::kLess:
      return Compare(a, b, "<") < 0 && !has_nan();
    case Operator::kLessEqual:
      return Compare(a, b, "<=") <= 0 && !has_nan();
    case Operator::kGreater:
      return Compare(a, b, ">") > 0 && !has_nan();
    default:
      return Compare(a, b, ">=") >= 0 && !has_nan();
  }
}

bool Contains(Evaluator& evaluator, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (item.Is(Kind::kUndefined)) Fail("'in <string>' requires string as left operand, not Undefined");
      if (!item.Is(Kind::kString))
        Fail("'in <string>' requires string as left operand, not {}", TypeName(item));
      evaluator.Charge(static_cast<int64_t>(container.bytes().size() / 256));
      return container.bytes().find(item.bytes()) != std::string_view::npos;
    case Kind::kDict:
      return container.As<DictObject>().Find(item) != nullptr;
    case Kind::kRange: {
      const auto& range = container.As<RangeObject>();
      if (!item.IsNumber() || item.number() != std::floor(item.number())) return false;
      const auto value = item.IsIntegral() ? item.integer() : static_cast<int64_t>(item.real());
      const bool inside = range.step > 0 ? value >= range.start && value < range.stop
                                         : value <= range.start && value > range.stop;
      return inside && (value - range.start) % range.step == 0;
    }
    case Kind::kList:
    case Kind::kTuple: {
      evaluator.Charge(static_cast<int64_t>(container.items().size() / 8));
      const Values& items = container.items();
      return std::any_of(items.begin(), items.end(), [&](const Value& value) { return Equal(value, item); });
    }
    case Kind::kNone:
    case Kind::kBool:
    case Kind::kInteger:
    case Kind::kFloat:
      Fail("argument of type '{}' is not iterable", TypeName(container));
    default: {
      const Values items = ToList(evaluator, container);
      return std::any_of(items.begin(), items.end(), [&](const Value& value) { return Equal(value, item); });
    }
  }
}

Values ToList(Evaluator& evaluator, const Value& value) {
  evaluator.Charge(std::max<int64_t>(Length(value).value_or(0), 0));
  Values items;
  switch (value.kind()) {
    case Kind::kUndefined:
      return items;
    case Kind::kString: {
      const Text& text = value.text();
      items.reserve(static_cast<size_t>(text.length()));
      for (size_t at = 0; at < text.bytes().size();) {
        const size_t size = DecodeAt(text.bytes(), at).size;
        items.push_back(Value::String(text.Slice(at, at + size)));
        at += size;
      }
      return items;
    }
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDictView:
      return value.items();
    case Kind::kIterator: {
      auto& object = value.As<ItemsObject>();
      evaluator.Charge(static_cast<int64_t>(object.items.size()));
      return std::exchange(object.items, {});
    }
    case Kind::kDict:
      for (const auto& entry : value.As<DictObject>().entries) items.push_back(entry.first);
      return items;
    case Kind::kRange: {
      const auto& range = value.As<RangeObject>();
      const int64_t size = range.size();
      items.reserve(static_cast<size_t>(size));
      for (int64_t i = 0; i < size; ++i) items.push_back(Value::Integer(range.start + i * range.step));
      return items;
    }
    default:
      Fail("'{}' object is not iterable", TypeName(value));
  }
}

}  // namespace hone::chat
