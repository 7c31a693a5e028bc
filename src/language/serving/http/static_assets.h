// Files that are built into the program and served as they are: the place of the web page.
#pragma once

#include <span>
#include <string_view>

namespace hone {

struct StaticAsset {
  std::string_view path;  // "/"
  std::string_view content_type;
  std::string_view body;
};

// By path; null where there is none.
const StaticAsset* FindAsset(std::string_view path);
std::span<const StaticAsset> StaticAssets();

}  // namespace hone
