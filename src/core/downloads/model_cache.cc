#include "core/downloads/model_cache.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "core/base/printable.h"
#include "core/base/text_distance.h"
#include "core/downloads/known_models.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

// One folder or file name out of a URL: what a file system may misread becomes an underscore.
std::string SafeName(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_';
    name += plain ? c : '_';
  }
  if (name.empty() || name.find_first_not_of('.') == std::string::npos) return "_";
  return name;
}

// a/b/c under `folder`, segment by segment, so that no ".." leads out of it.
std::string PathBelow(const fs::path& folder, std::string_view segments) {
  fs::path path = folder;
  for (size_t begin = 0; begin <= segments.size();) {
    const size_t end = std::min(segments.find('/', begin), segments.size());
    if (end > begin) path /= SafeName(segments.substr(begin, end - begin));
    begin = end + 1;
  }
  return path.string();
}

}  // namespace

Result<std::string> ModelCacheFolder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/')
    return std::string(cache) + "/hone/models";  // a relative one is void
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] != 0) return std::string(home) + "/.cache/hone/models";
  return Failed("neither XDG_CACHE_HOME nor HOME is set: no folder for models");
}

Result<std::string> PulledPath(std::string_view source) {
  HONE_TRY(const fs::path folder, ModelCacheFolder());
  if (const KnownModel* known = FindKnownModel(source); known != nullptr)
    return (folder / fmt::format("{}.{}", known->name, known->extension)).string();
  if (source.starts_with("hf:")) return PathBelow(folder / "hf", source.substr(3));
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (source.starts_with(scheme)) return PathBelow(folder / "url", source.substr(scheme.size()));
  }
  return WrongUsage(
      "{}: expected a known model's name (hone pull lists them), hf:OWNER/REPO/FILE or an http(s) URL",
      Printable(source));
}

Result<std::string> ResolveModel(std::string_view name) {
  std::error_code ignored;
  if (fs::exists(fs::path(name), ignored)) return std::string(name);
  if (const auto pulled = PulledPath(name)) {
    if (fs::is_regular_file(*pulled, ignored)) {
      const KnownModel* known = FindKnownModel(name);
      const uint64_t size = fs::file_size(*pulled, ignored);
      if (known == nullptr || size == known->bytes) return *pulled;
      return BadInput(*pulled, "size", "{} bytes, expected {}; remove it and run: hone pull {}", size,
                      known->bytes, name);
    }
    return BadInput(Printable(name), "model", "not on this machine, expected after: hone pull {}",
                    Printable(name));
  }
  std::vector<std::string_view> names;
  for (const KnownModel& model : KnownModels()) names.push_back(model.name);
  return BadInput(Printable(name), "model", "no such file, and not a known model's name{}",
                  Suggestion(name, names));
}

}  // namespace hone
