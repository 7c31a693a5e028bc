#include "core/base/printable.h"

#include <fmt/format.h>

namespace hone {

std::string Printable(std::string_view text, size_t limit) {
  std::string line;
  for (const char character : text) {
    if (line.size() >= limit) return line + "...";
    if (character >= 0x20 && character < 0x7f) {
      line += character;
    } else {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(character));
    }
  }
  return line;
}

}  // namespace hone
