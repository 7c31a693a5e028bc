#include "cli/text_input.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace hone {

Result<std::string> ReadText(const std::string& path) {
  std::unique_ptr<FILE, int (*)(FILE*)> opened(nullptr, &std::fclose);
  FILE* file = stdin;
  if (path != "-") {
    opened.reset(std::fopen(path.c_str(), "rb"));
    if (opened == nullptr) return BadInput(path, "file", "cannot be opened: {}", std::strerror(errno));
    file = opened.get();
  }
  std::string text;
  char buffer[1 << 16];
  size_t count = 0;
  while ((count = std::fread(buffer, 1, sizeof(buffer), file)) > 0) text.append(buffer, count);
  if (std::ferror(file) != 0) return BadInput(path, "file", "cannot be read: {}", std::strerror(errno));
  return text;
}

}  // namespace hone
