#include "core/formats/template/unicode.h"

#include <unicode/uchar.h>
#include <unicode/ustring.h>

#include <vector>

namespace hone::chat {

CodePoint DecodeAt(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  const CodePoint invalid{first, 1, false};
  if (first < 0xC2 || first > 0xF4 || at + size > bytes.size()) return invalid;
  char32_t value = first & (0x7F >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return invalid;
    value = value << 6 | (byte(i) & 0x3F);
  }
  const char32_t smallest = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
  if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return invalid;
  return {value, size, true};
}

int64_t CountCodePoints(std::string_view bytes) {
  int64_t count = 0;
  for (size_t at = 0; at < bytes.size(); ++count) {
    at += static_cast<unsigned char>(bytes[at]) < 0x80 ? 1 : DecodeAt(bytes, at).size;
  }
  return count;
}

void AppendUtf8(std::string& bytes, char32_t value) {
  if (value < 0x80) {
    bytes += static_cast<char>(value);
    return;
  }
  const int size = value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
  bytes += static_cast<char>((0xF00 >> size & 0xFF) | value >> 6 * (size - 1));
  for (int i = size - 2; i >= 0; --i) bytes += static_cast<char>(0x80 | (value >> 6 * i & 0x3F));
}

bool IsSpace(char32_t c) {
  if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsAlpha(char32_t c) {
  const auto mask = U_GET_GC_MASK(static_cast<UChar32>(c));
  return (mask & U_GC_L_MASK) != 0;
}

int DecimalValue(char32_t c) { return u_charDigitValue(static_cast<UChar32>(c)); }

bool IsDecimal(char32_t c) { return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER; }

bool IsDigit(char32_t c) {
  const auto type = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}

bool IsNumeric(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool IsUpper(char32_t c) { return u_isUUppercase(static_cast<UChar32>(c)); }
bool IsLower(char32_t c) { return u_isULowercase(static_cast<UChar32>(c)); }
bool IsTitle(char32_t c) { return u_charType(static_cast<UChar32>(c)) == U_TITLECASE_LETTER; }
bool IsCased(char32_t c) { return IsUpper(c) || IsLower(c) || IsTitle(c); }

bool IsPrintable(char32_t c) {
  if (c == ' ') return true;
  const auto mask = U_GET_GC_MASK(static_cast<UChar32>(c));
  return (mask & (U_GC_C_MASK | U_GC_Z_MASK)) == 0;
}

bool IsWordCharacter(char32_t c) { return c == '_' || IsAlpha(c) || IsNumeric(c); }

namespace {

// Full case mapping of one code point by ICU (ß -> SS), independent of its neighbours.
void AppendMapped(std::string& out, const CodePoint& point, CaseChange change) {
  if (point.value < 0x80) {
    const char c = static_cast<char>(point.value);
    const bool lower = c >= 'a' && c <= 'z';
    const bool upper = c >= 'A' && c <= 'Z';
    if (change == CaseChange::kLower) {
      out += upper ? static_cast<char>(c + 32) : c;
    } else {
      out += lower ? static_cast<char>(c - 32) : c;
    }
    return;
  }
  UChar source[2];
  int32_t source_length = 0;
  UErrorCode status = U_ZERO_ERROR;
  U16_APPEND_UNSAFE(source, source_length, static_cast<UChar32>(point.value));
  UChar mapped[8];
  int32_t length = 0;
  if (change == CaseChange::kLower) {
    length = u_strToLower(mapped, 8, source, source_length, "", &status);
  } else if (change == CaseChange::kUpper) {
    length = u_strToUpper(mapped, 8, source, source_length, "", &status);
  } else {
    length = u_strToTitle(mapped, 8, source, source_length, nullptr, "", &status);
  }
  for (int32_t i = 0; i < length;) {
    UChar32 value = 0;
    U16_NEXT(mapped, i, length, value);
    AppendUtf8(out, static_cast<char32_t>(value));
  }
}

// Greek capital sigma at the end of a word becomes the final form when it is made lower case.
bool IsFinalSigma(std::string_view bytes, size_t at, bool cased_before) {
  if (!cased_before) return false;
  for (size_t next = at + DecodeAt(bytes, at).size; next < bytes.size();) {
    const CodePoint point = DecodeAt(bytes, next);
    if (!u_hasBinaryProperty(static_cast<UChar32>(point.value), UCHAR_CASE_IGNORABLE))
      return !IsCased(point.value);
    next += point.size;
  }
  return true;
}

}  // namespace

std::string ChangeCase(std::string_view bytes, CaseChange change) {
  constexpr char32_t kCapitalSigma = 0x3A3;
  constexpr char32_t kFinalSigma = 0x3C2;
  std::string out;
  out.reserve(bytes.size());
  bool cased_before = false;
  for (size_t at = 0; at < bytes.size();) {
    const CodePoint point = DecodeAt(bytes, at);
    if (!point.valid) {
      out += bytes[at++];
      cased_before = false;
      continue;
    }
    CaseChange here = change;
    if (change == CaseChange::kTitle) here = cased_before ? CaseChange::kLower : CaseChange::kTitle;
    if (change == CaseChange::kCapitalize) here = at == 0 ? CaseChange::kTitle : CaseChange::kLower;
    if (change == CaseChange::kSwap) here = IsUpper(point.value) ? CaseChange::kLower : CaseChange::kUpper;
    if (here == CaseChange::kLower && point.value == kCapitalSigma && IsFinalSigma(bytes, at, cased_before)) {
      AppendUtf8(out, kFinalSigma);
    } else {
      AppendMapped(out, point, here);
    }
    const bool ignorable = change != CaseChange::kTitle && point.value >= 0x80 &&
                           u_hasBinaryProperty(static_cast<UChar32>(point.value), UCHAR_CASE_IGNORABLE);
    if (!ignorable) cased_before = IsCased(point.value);
    at += point.size;
  }
  return out;
}

size_t LeadingSpace(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    const CodePoint point = DecodeAt(bytes, at);
    if (!point.valid || !IsSpace(point.value)) break;
    at += point.size;
  }
  return at;
}

size_t TrailingSpace(std::string_view bytes) {
  size_t end = bytes.size();
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && end - start < 4 && (static_cast<unsigned char>(bytes[start]) & 0xC0) == 0x80) --start;
    const CodePoint point = DecodeAt(bytes, start);
    if (!point.valid || start + point.size != end || !IsSpace(point.value)) break;
    end = start;
  }
  return bytes.size() - end;
}

}  // namespace hone::chat
