// Regular expressions as ECMAScript (ECMA-262, section 22.2.1) writes them, which is what JSON Schema's
// `pattern` asks for, parsed to a tree. What no regular language holds is refused by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "language/decoding/constraints/code_point_set.h"

namespace hone {

struct RegexNode {
  enum class Kind : uint8_t {
    kCharacters,  // one of `set`
    kSequence,
    kChoice,
    kRepeat,  // children[0], min to max times
    kStart,   // ^
    kEnd,     // $
  };
  Kind kind = Kind::kSequence;
  CodePointSet set;
  std::vector<RegexNode> children;
  uint32_t min = 0;
  uint32_t max = 0;
};

// Groups nested deeper are refused, so that nothing that walks a tree recurses without bound.
inline constexpr int kMaximumRegexDepth = 100;

// Errors name the character position: "regular expression: character 3: ...". Refused by name: lookahead and
// lookbehind, back references, word boundaries, Unicode properties, inline flags.
Result<RegexNode> ParseRegex(std::string_view expression);

// The sets that \d, \w and \s stand for.
CodePointSet RegexDigits();
CodePointSet RegexWordCharacters();
CodePointSet RegexSpaces();

}  // namespace hone
