// Byte-level vocabularies spell each byte as a printable character (GPT-2's bytes_to_unicode): printable
// Latin-1 bytes stand for themselves, the other 68 become U+0100, U+0101, ... in order.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace hone {

// Appends the bytes that `glyphs` spells to `out`; false (and `out` unchanged) where a character spells no
// byte.
bool AppendGlyphBytes(std::string_view glyphs, std::vector<char>& out);

char32_t GlyphOfByte(uint8_t byte);

}  // namespace hone
