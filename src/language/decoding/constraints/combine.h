// Constraints made of others.
#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "language/decoding/constraints/constraint.h"

namespace hone {

class TokenTable;

// Answers that one of the two allows, from the first byte on: triggers of either count no more.
Result<Constraint> EitherConstraint(const Constraint& a, const Constraint& b);

enum class ThinkingStart : uint8_t {
  kMaybe,   // the answer may begin with <think>
  kOpened,  // the prompt ended with it
};

// The constraint's answers behind any text that ends with the first </think> (and at most two line breaks).
// A constraint with triggers stays as it is: thinking is free. `table`: see MarkerText.
Result<Constraint> AfterThinking(const Constraint& constraint, ThinkingStart start, const TokenTable* table);

}  // namespace hone
