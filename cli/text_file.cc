#include "cli/text_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace hone {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

Result<std::string> ReadAll(std::FILE* file, const std::string& name) {
  std::string text;
  char part[65536];
  for (size_t count; (count = std::fread(part, 1, sizeof(part), file)) > 0;) text.append(part, count);
  if (std::ferror(file)) return BadInput(name, "read", "{}", std::strerror(errno));
  return text;
}

}  // namespace

Result<std::string> ReadTextFile(const std::string& path) {
  if (path == "-") return ReadAll(stdin, "standard input");
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) return BadInput(path, "open", "{}", std::strerror(errno));
  return ReadAll(file.get(), path);
}

Result<void> WriteTextFile(const std::string& path, const std::string& text) {
  File file(std::fopen(path.c_str(), "wb"));
  if (!file) return Failed("{}: {}", path, std::strerror(errno));
  const bool written = std::fwrite(text.data(), 1, text.size(), file.get()) == text.size();
  if (std::fclose(file.release()) != 0 || !written) return Failed("{}: {}", path, std::strerror(errno));
  return {};
}

}  // namespace hone
