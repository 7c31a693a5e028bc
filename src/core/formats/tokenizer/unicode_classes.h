// The few character classes that are asked for outside a regular expression.
#pragma once

namespace hone {

// General category N*.
bool IsNumber(char32_t code);
// What \w is in a Unicode regular expression: letters, marks, numbers and connector punctuation.
bool IsWordCharacter(char32_t code);

}  // namespace hone
