#include "language/serving/http/static_assets.h"

#include <algorithm>
#include <vector>

#include "core/base/embedded_file.h"

namespace hone {

// What the build made of page/.
std::span<const EmbeddedFile> PageFiles();

namespace {

constexpr std::string_view kIndex = "/page/index.html";

std::string_view ContentType(std::string_view path) {
  if (path.ends_with(".html")) return "text/html; charset=utf-8";
  if (path.ends_with(".css")) return "text/css; charset=utf-8";
  if (path.ends_with(".svg")) return "image/svg+xml";
  return "text/javascript; charset=utf-8";
}

std::vector<StaticAsset> ListAssets() {
  std::vector<StaticAsset> assets;
  for (const EmbeddedFile& file : PageFiles()) {
    assets.push_back({file.path == kIndex ? "/" : file.path, ContentType(file.path), file.body});
  }
  return assets;
}

}  // namespace

std::span<const StaticAsset> StaticAssets() {
  static const std::vector<StaticAsset> assets = ListAssets();
  return assets;
}

const StaticAsset* FindAsset(std::string_view path) {
  const auto all = StaticAssets();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const StaticAsset& a) { return a.path == path; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace hone
