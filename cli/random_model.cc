// hone random-model --like SHAPE --type TYPE OUT: a model with random weights, to measure with.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "core/base/progress.h"
#include "core/base/text_distance.h"
#include "core/formats/gguf/random_model.h"

namespace hone {
namespace {

struct Options {
  std::string like = "llama-1.1b";
  std::string type = "q4_0";
  uint64_t seed = 0;
  std::string out;
};

std::string ShapeNames() {
  std::string names;
  for (const RandomModelShape& shape : RandomModelShapes()) names += fmt::format("{} ", shape.name);
  if (!names.empty()) names.pop_back();
  return names;
}

Result<DType> FindType(const std::string& name) {
  std::vector<std::string_view> names;
  for (const DType type : RandomModelTypes()) {
    names.push_back(Info(type).name);
    if (DTypeFromName(name) == type) return type;
  }
  return WrongUsage("random-model: --type: {}, expected one of {}", name, fmt::join(names, " "));
}

Result<void> Run(const Options& options) {
  HONE_TRY(const DType type, FindType(options.type));
  std::optional<Progress> progress;
  HONE_CHECK_OK(
      WriteRandomModel(options.like, type, options.seed, options.out, [&](uint64_t done, uint64_t total) {
        if (!progress) progress.emplace(options.out, total, Progress::Unit::kBytes);
        progress->Update(done);
      }));
  return {};
}

}  // namespace

Action AddRandomModel(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--like", options->like, "Shape: " + ShapeNames())->capture_default_str();
  app.add_option("--type", options->type, "Type of all matrices, such as f16, q4_0 or q6_k")
      ->capture_default_str();
  app.add_option("--seed", options->seed, "The same seed gives the same file")->capture_default_str();
  app.add_option("OUT", options->out, "The GGUF file to write")->required();
  return [options] { return Run(*options); };
}

}  // namespace hone
