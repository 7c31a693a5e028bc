#include "core/formats/tokenizer/unicode_classes.h"

#include <unicode/uchar.h>

namespace hone {

bool IsNumber(char32_t code) {
  if (code < 0x80) return code >= '0' && code <= '9';
  return (U_GET_GC_MASK(static_cast<UChar32>(code)) & U_GC_N_MASK) != 0;
}

bool IsWordCharacter(char32_t code) {
  constexpr uint32_t kWord = U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK | U_GC_PC_MASK;
  return (U_GET_GC_MASK(static_cast<UChar32>(code)) & kWord) != 0;
}

}  // namespace hone
