#include "core/formats/tokenizer/word_spellings.h"

namespace hone {

void AppendWithSpaces(std::string_view text, std::vector<char>& out) {
  for (size_t at = 0; at < text.size();) {
    const size_t found = text.find(kSpaceMarkText, at);
    const std::string_view before = text.substr(at, found - at);
    out.insert(out.end(), before.begin(), before.end());
    if (found == std::string_view::npos) break;
    out.push_back(' ');
    at = found + kSpaceMarkText.size();
  }
}

int ByteOfSpelling(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  const int high = digit(text[3]), low = digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace hone
