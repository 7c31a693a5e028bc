// UTF-8 one unit at a time, where the bytes may be broken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hone {

// What stands at the front of some bytes: a whole character, a broken sequence (its longest prefix that could
// have begun a character, at least one byte: what Unicode 3.9 replaces by one U+FFFD), or the start of a
// character that is cut off.
struct Utf8Unit {
  enum class Kind { kCharacter, kBroken, kUnfinished };
  Kind kind = Kind::kBroken;
  uint32_t length = 1;  // bytes
  char32_t code = 0xFFFD;
};

// `bytes` is not empty. Table 3-7 of the Unicode standard: no overlong forms, no surrogates, at most
// U+10FFFF.
inline Utf8Unit NextUtf8(std::string_view bytes) {
  using Kind = Utf8Unit::Kind;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {Kind::kCharacter, 1, first};
  if (first < 0xC2 || first > 0xF4) return {Kind::kBroken, 1, 0xFFFD};
  const uint32_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  char32_t code = first & (0x7F >> length);
  for (uint32_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Kind::kUnfinished, i, 0xFFFD};
    uint8_t low = 0x80, high = 0xBF;
    if (i == 1 && first == 0xE0) low = 0xA0;
    if (i == 1 && first == 0xED) high = 0x9F;
    if (i == 1 && first == 0xF0) low = 0x90;
    if (i == 1 && first == 0xF4) high = 0x8F;
    if (byte(i) < low || byte(i) > high) return {Kind::kBroken, i, 0xFFFD};
    code = (code << 6) | (byte(i) & 0x3F);
  }
  return {Kind::kCharacter, length, code};
}

// Bytes [0, result) are whole characters, and either nothing follows or a sequence that is broken or cut off.
inline size_t ValidUtf8Prefix(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    if (static_cast<uint8_t>(bytes[at]) < 0x80) {
      ++at;
      continue;
    }
    const Utf8Unit unit = NextUtf8(bytes.substr(at));
    if (unit.kind != Utf8Unit::Kind::kCharacter) break;
    at += unit.length;
  }
  return at;
}

inline void AppendUtf8(char32_t code, auto& out) {
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

}  // namespace hone
