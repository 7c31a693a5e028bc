#include "core/formats/tokenizer/byte_glyphs.h"

#include <array>

#include "core/formats/tokenizer/utf8.h"

namespace hone {
namespace {

constexpr uint32_t kGlyphs = 0x100 + 68;

constexpr bool StandsForItself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

// byte_of[glyph], or -1.
constexpr std::array<int16_t, kGlyphs> MakeByteOfGlyph() {
  std::array<int16_t, kGlyphs> byte_of{};
  for (auto& byte : byte_of) byte = -1;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte)
    byte_of[StandsForItself(byte) ? byte : next++] = static_cast<int16_t>(byte);
  return byte_of;
}

constexpr auto kByteOfGlyph = MakeByteOfGlyph();

}  // namespace

bool AppendGlyphBytes(std::string_view glyphs, std::vector<char>& out) {
  const size_t size = out.size();
  for (size_t at = 0; at < glyphs.size();) {
    const uint8_t first = static_cast<uint8_t>(glyphs[at]);
    char32_t code = first;
    if (first >= 0x80) {
      const Utf8Unit unit = NextUtf8(glyphs.substr(at));
      code = unit.kind == Utf8Unit::Kind::kCharacter ? unit.code : kGlyphs;
      at += unit.length;
    } else {
      ++at;
    }
    if (code >= kGlyphs || kByteOfGlyph[code] < 0) {
      out.resize(size);
      return false;
    }
    out.push_back(static_cast<char>(kByteOfGlyph[code]));
  }
  return true;
}

char32_t GlyphOfByte(uint8_t byte) {
  for (uint32_t glyph = 0; glyph < kGlyphs; ++glyph) {
    if (kByteOfGlyph[glyph] == byte) return glyph;
  }
  return 0;
}

}  // namespace hone
