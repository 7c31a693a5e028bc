// Filters that make numbers, and those that choose between values.
#include <charconv>
#include <cmath>

#include "core/formats/template/arguments.h"
#include "core/formats/template/evaluator.h"
#include "core/formats/template/filters.h"
#include "core/formats/template/number_text.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"

namespace hone::chat {

namespace {

Value Default(Evaluator&, const Value& value, Arguments& arguments) {
  const auto [otherwise, boolean] = Bind<2>("default", arguments, {"default_value", "boolean"});
  const bool replace = value.Is(Kind::kUndefined) || (BoolOr(boolean, false) && !Truth(value));
  if (!replace) return value;
  return otherwise.Is(Kind::kMissing) ? Value::String("", false) : otherwise;
}

Value Absolute(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("abs", arguments);
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  if (value.Is(Kind::kFloat)) return Value::Float(std::fabs(value.real()), value.tainted());
  if (!value.IsIntegral()) Fail("bad operand type for abs(): '{}'", TypeName(value));
  return value.integer() < 0 ? Negate(value, true) : Negate(value, false);
}

Value ToInteger(Evaluator&, const Value& value, Arguments& arguments) {
  auto [otherwise, base_value] = Bind<2>("int", arguments, {"default", "base"});
  const int64_t base = IntegerOr(base_value, 10, "base");
  const Value fallback = otherwise.Is(Kind::kMissing) ? Value::Integer(0) : otherwise;
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  double real = 0;
  bool tainted = value.tainted();
  if (value.Is(Kind::kString)) {
    tainted = value.text().tainted();
    if (const auto integer = ParseInteger(value.bytes(), static_cast<int>(base)))
      return Value::Integer(*integer, tainted);
    const auto parsed = ParseFloat(value.bytes());
    if (!parsed) return fallback;
    real = *parsed;
  } else if (value.IsIntegral()) {
    return Value::Integer(value.integer(), tainted);
  } else if (value.Is(Kind::kFloat)) {
    real = value.real();
  } else {
    return fallback;
  }
  if (!std::isfinite(real)) return fallback;
  if (std::fabs(real) >= 9223372036854775808.0) Fail("an integer does not fit 64 bits");
  return Value::Integer(static_cast<int64_t>(real), tainted);
}

Value ToFloat(Evaluator&, const Value& value, Arguments& arguments) {
  auto [otherwise] = Bind<1>("float", arguments, {"default"});
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  if (value.IsNumber()) return Value::Float(value.number(), value.tainted());
  if (value.Is(Kind::kString)) {
    if (const auto parsed = ParseFloat(value.bytes())) return Value::Float(*parsed, value.text().tainted());
  }
  return otherwise.Is(Kind::kMissing) ? Value::Float(0.0) : otherwise;
}

// Half to even at the exact decimal value of the double, as Python's round().
double RoundHalfEven(double value, int64_t precision) {
  if (!std::isfinite(value) || precision > 300) return value;
  if (precision < -308) return 0.0;
  if (precision < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    return std::nearbyint(value / scale) * scale;
  }
  const std::string text = fmt::format("{:.{}f}", value, precision);
  double rounded = 0;
  std::from_chars(text.data(), text.data() + text.size(), rounded);
  return rounded;
}

Value Round(Evaluator&, const Value& value, Arguments& arguments) {
  const auto [precision_value, method] = Bind<2>("round", arguments, {"precision", "method"});
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  if (!value.IsNumber()) Fail("type {} doesn't define __round__ method", TypeName(value));
  const int64_t precision = IntegerOr(precision_value, 0, "precision");
  const std::string_view how = method.Is(Kind::kString) ? method.bytes() : "common";
  if (!method.Is(Kind::kMissing) && !method.Is(Kind::kString)) Fail("method must be common, ceil or floor");
  if (how == "common") {
    if (value.IsIntegral() && precision >= 0) return Value::Integer(value.integer(), value.tainted());
    if (value.IsIntegral()) {
      const double rounded = RoundHalfEven(value.number(), precision);
      return Value::Integer(static_cast<int64_t>(rounded), value.tainted());
    }
    return Value::Float(RoundHalfEven(value.real(), precision), value.tainted());
  }
  if (how != "ceil" && how != "floor") Fail("method must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.number() * scale;
  return Value::Float((how == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale, value.tainted());
}

Value LengthFilter(Evaluator&, const Value& value, Arguments& arguments) {
  BindNothing("length", arguments);
  const auto length = Length(value);
  if (!length) Fail("object of type '{}' has no len()", TypeName(value));
  return Value::Integer(*length);
}

Value FileSize(Evaluator&, const Value& value, Arguments& arguments) {
  const auto [binary_value] = Bind<1>("filesizeformat", arguments, {"binary"});
  const bool binary = BoolOr(binary_value, false);
  double bytes = 0;
  if (value.IsNumber()) {
    bytes = value.number();
  } else if (const auto parsed = value.Is(Kind::kString) ? ParseFloat(value.bytes()) : std::nullopt) {
    bytes = *parsed;
  } else {
    Fail("filesizeformat: expected a number, found {}", TypeName(value));
  }
  const double base = binary ? 1024 : 1000;
  const bool tainted = value.Is(Kind::kString) ? value.text().tainted() : value.tainted();
  if (bytes == 1) return Value::String("1 Byte", tainted);
  if (bytes < base) return Value::String(fmt::format("{} Bytes", static_cast<int64_t>(bytes)), tainted);
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  size_t i = 0;
  while (i + 1 < kPrefixes.size() && bytes >= unit * base) {
    unit *= base;
    ++i;
  }
  const char prefix = binary && i == 0 ? 'K' : kPrefixes[i];
  return Value::String(fmt::format("{:.1f} {}{}", bytes / unit, prefix, binary ? "iB" : "B"), tainted);
}

constexpr FilterEntry kFilters[] = {
    {"abs", Absolute},    {"count", LengthFilter},      {"d", Default},
    {"default", Default}, {"filesizeformat", FileSize}, {"float", ToFloat},
    {"int", ToInteger},   {"length", LengthFilter},     {"round", Round},
};

}  // namespace

std::span<const FilterEntry> NumberFilters() { return kFilters; }

}  // namespace hone::chat
