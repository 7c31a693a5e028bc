// How vocabularies spell words.
#pragma once

#include <string_view>
#include <vector>

namespace hone {

// How the words of a vocabulary are spelled: bytes as printable glyphs, or characters with U+2581 for the
// space.
enum class Spelling { kGlyphs, kSpaceMarks };

inline constexpr std::string_view kSpaceMarkText = "\xE2\x96\x81";

// Appends `text` with a space for every mark.
void AppendWithSpaces(std::string_view text, std::vector<char>& out);

// "<0x0A>" -> 10; -1 for anything else.
int ByteOfSpelling(std::string_view text);

}  // namespace hone
