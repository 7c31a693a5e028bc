// hone pull [NAME | URL | hf:OWNER/REPO/FILE]: fetches a model, or lists the known ones.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/command.h"
#include "core/base/progress.h"
#include "core/downloads/known_models.h"
#include "core/downloads/model_cache.h"
#include "core/downloads/pull.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string source;
  std::string sha256;
};

// What was pulled by URL or from Hugging Face, as hone would be told to pull it again.
void ListOthers(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored)) {
    if (!entry.is_regular_file(ignored)) continue;
    const fs::path below = entry.path().lexically_relative(folder);
    const std::string extension = below.extension().string();
    if (extension == ".part" || extension == ".info" || below.begin() == below.end()) continue;
    const std::string root = below.begin()->string();
    const std::string rest = below.lexically_relative(root).string();
    if (root == "hf") fmt::print("{:<14} {:>8}  hf:{}\n", "", ReadableSize(entry.file_size(ignored)), rest);
    if (root == "url")
      fmt::print("{:<14} {:>8}  {}\n", "", ReadableSize(entry.file_size(ignored)), entry.path().string());
  }
}

Result<void> List() {
  HONE_TRY(const std::string folder, ModelCacheFolder());
  for (const KnownModel& model : KnownModels()) {
    HONE_TRY(const std::string path, PulledPath(model.name));
    std::error_code ignored;
    const char* state = fs::is_regular_file(path, ignored) ? "here" : "not here";
    fmt::print("{:<14} {:>8}  {:<8}  {}\n", model.name, ReadableSize(model.bytes), state, model.description);
  }
  ListOthers(folder);
  fmt::print("\nModels lie in {}\n", folder);
  return {};
}

Result<void> Run(const Options& options) {
  if (options.source.empty()) return List();
  PullOptions pull;
  pull.sha256 = options.sha256;
  HONE_TRY(const std::string path, PullModel(options.source, pull));
  std::error_code ignored;
  fmt::print("{}: {} ({})\n", options.source, path, ReadableSize(fs::file_size(path, ignored)));
  return {};
}

}  // namespace

Action AddPull(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option(
      "SOURCE", options->source,
      "A known model's name, hf:OWNER/REPO/FILE or an http(s) URL; without it the known models are listed");
  app.add_option("--sha256", options->sha256, "The hash that the file must have");
  return [options] { return Run(*options); };
}

}  // namespace hone
