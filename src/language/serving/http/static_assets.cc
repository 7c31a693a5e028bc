#include "language/serving/http/static_assets.h"

namespace hone {
namespace {

constexpr std::string_view kIndex = R"(<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>hone</title></head>
<body>
<h1>hone serve</h1>
<p>An OpenAI-compatible server: <code>/v1/chat/completions</code>, <code>/v1/completions</code>,
<code>/v1/responses</code>, <code>/v1/embeddings</code>, <code>/v1/models</code>, <code>/tokenize</code>,
<code>/detokenize</code>, <code>/health</code>, <code>/metrics</code>.</p>
</body>
</html>
)";

constexpr StaticAsset kAssets[] = {{"/", "text/html; charset=utf-8", kIndex}};

}  // namespace

std::span<const StaticAsset> StaticAssets() { return kAssets; }

const StaticAsset* FindAsset(std::string_view path) {
  for (const StaticAsset& asset : kAssets) {
    if (asset.path == path) return &asset;
  }
  return nullptr;
}

}  // namespace hone
