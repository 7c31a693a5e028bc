// The texts that a regular expression matches, as a grammar.
#pragma once

#include <functional>

#include "core/base/result.h"
#include "language/decoding/constraints/grammar_builder.h"
#include "language/decoding/constraints/regex_syntax.h"

namespace hone {

// How one character of a set is spelled: itself, or as it stands in a JSON string.
using CharacterSpelling = std::function<Symbol(const CodePointSet&)>;

enum class RegexMatch : uint8_t {
  kWhole,     // the expression matches the whole text; ^ and $ at its ends say nothing new
  kContains,  // it matches somewhere, as JSON Schema's `pattern` does
};

// An anchor in the middle of an expression is an error.
Result<Symbol> RegexToGrammar(GrammarBuilder& builder, const RegexNode& regex, RegexMatch match,
                              const CharacterSpelling& spelling);

// Characters that a match of the expression itself may have, anchors aside; max may be kUnbounded.
struct LengthRange {
  uint64_t min = 0;
  uint64_t max = 0;
};
LengthRange RegexLength(const RegexNode& regex);

}  // namespace hone
