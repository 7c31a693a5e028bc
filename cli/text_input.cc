#include "cli/text_input.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "core/downloads/known_models.h"
#include "core/downloads/model_cache.h"

namespace hone {

namespace {

bool IsKnownText(const std::string& name) {
  const KnownModel* known = FindKnownModel(name);
  return known != nullptr && known->extension == "txt" && !std::filesystem::exists(name);
}

}  // namespace

Result<std::string> ReadText(const std::string& name) {
  std::string path = name;
  if (IsKnownText(name)) {
    HONE_TRY(path, ResolveModel(name));
  }
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
