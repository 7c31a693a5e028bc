// Decimal numbers between two bounds, digit by digit: exact, whatever the size of the bounds.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "core/base/result.h"
#include "language/decoding/constraints/grammar_builder.h"

namespace hone {

// sign * whole.fraction; `whole` without leading zeros ("0" for none), `fraction` without trailing ones.
struct Decimal {
  bool negative = false;
  std::string whole = "0";
  std::string fraction;

  // Of a JSON number (the shortest decimal that stands for it).
  static Decimal Of(const nlohmann::ordered_json& number);
  Decimal Negated() const;
  bool is_zero() const { return whole == "0" && fraction.empty(); }
  bool is_whole() const { return fraction.empty(); }
};
// < 0, 0, > 0 as a is below, equal to, above b.
int Compare(const Decimal& a, const Decimal& b);

struct NumberRange {
  struct Bound {
    Decimal value;
    bool exclusive = false;
  };
  std::optional<Bound> low;
  std::optional<Bound> high;

  void RaiseLow(Bound bound);  // keeps the stronger one
  void LowerHigh(Bound bound);
  bool empty() const;  // no number lies within
  bool unbounded() const { return !low && !high; }
};

// Integers in the range without leading zeros; no -0.
Symbol IntegersWithin(GrammarBuilder& builder, const NumberRange& range);
// Decimal numbers in the range, without exponents where there is a bound.
Symbol NumbersWithin(GrammarBuilder& builder, const NumberRange& range);
// The multiples of `divisor` (> 0) in the range; nothing where that is more than this can hold: an open or
// wide range needs bounds at zero and a divisor up to 200, and its numbers have at most 15 digits.
std::optional<Symbol> MultiplesWithin(GrammarBuilder& builder, const NumberRange& range, int64_t divisor);

}  // namespace hone
