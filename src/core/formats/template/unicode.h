// What Python's str knows about characters: code points of UTF-8, classes, case.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hone::chat {

struct CodePoint {
  char32_t value = 0;
  size_t size = 0;     // bytes
  bool valid = false;  // false: one byte that is not part of valid UTF-8; value is the byte
};

// The code point that starts at byte `at` < bytes.size().
CodePoint DecodeAt(std::string_view bytes, size_t at);
int64_t CountCodePoints(std::string_view bytes);
void AppendUtf8(std::string& bytes, char32_t value);

bool IsSpace(char32_t c);      // str.isspace
bool IsAlpha(char32_t c);      // str.isalpha
int DecimalValue(char32_t c);  // 0 to 9 of a decimal digit of any script, or -1
bool IsDecimal(char32_t c);    // str.isdecimal
bool IsDigit(char32_t c);      // str.isdigit
bool IsNumeric(char32_t c);    // str.isnumeric
bool IsUpper(char32_t c);
bool IsLower(char32_t c);
bool IsTitle(char32_t c);
bool IsCased(char32_t c);
bool IsPrintable(char32_t c);      // whether repr() shows it as itself
bool IsWordCharacter(char32_t c);  // \w

// str.upper, str.lower, str.title, str.capitalize of a whole string (full case mapping).
enum class CaseChange { kUpper, kLower, kTitle, kCapitalize, kSwap };
std::string ChangeCase(std::string_view bytes, CaseChange change);

// Bytes of white space at the front and at the back.
size_t LeadingSpace(std::string_view bytes);
size_t TrailingSpace(std::string_view bytes);

}  // namespace hone::chat
