// Files that are built into the program and served as they are: the web page, from the sources in page/.
#pragma once

#include <span>
#include <string_view>

namespace hone {

struct StaticAsset {
  std::string_view path;  // "/"
  std::string_view content_type;
  std::string_view body;
};

// By path, "/" for the page itself; null where there is none.
const StaticAsset* FindAsset(std::string_view path);
std::span<const StaticAsset> StaticAssets();

// What the page may do: only what its own files say, only with this server. No inline script, no markup made
// of text.
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

}  // namespace hone
