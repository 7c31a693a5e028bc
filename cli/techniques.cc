// hone techniques: what makes models cheap here, in the order of the survey of efficient inference.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command.h"
#include "evaluation/explain/techniques.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string stage;
  bool exact = false;
  bool json = false;
};

bool Wanted(const Technique& technique, const Options& options) {
  if (options.exact && !technique.exact) return false;
  return options.stage.empty() || StageNames(technique.stages).find(options.stage) != std::string::npos;
}

Json Describe(const Technique& technique) {
  return {{"name", technique.name},
          {"level", Name(technique.level)},
          {"group", technique.group},
          {"leaf", technique.leaf},
          {"stages", StageNames(technique.stages)},
          {"exact", technique.exact},
          {"needs", technique.needs},
          {"factors", FactorNames(technique.factors)},
          {"interface", technique.interface},
          {"conflicts", technique.conflicts},
          {"how", technique.how},
          {"gain", technique.gain}};
}

void Print(const Technique& technique, std::string& heading) {
  const std::string own = fmt::format("{} / {}", Name(technique.level), technique.group);
  if (own != heading) fmt::print("{}{}\n", heading.empty() ? "" : "\n", own);
  heading = own;
  fmt::print("  {} ({}): {}\n", technique.name, technique.leaf, technique.gain);
  fmt::print("    helps {}; {}; reduces {}; needs {}; {}\n", StageNames(technique.stages),
             technique.exact ? "exact" : "lossy",
             technique.factors == 0 ? std::string("nothing") : FactorNames(technique.factors),
             technique.needs, technique.how);
  if (!technique.conflicts.empty()) fmt::print("    conflicts with {}\n", technique.conflicts);
}

Result<void> Run(const Options& options) {
  Json list = Json::array();
  std::string heading;
  for (const Technique& technique : Techniques()) {
    if (!Wanted(technique, options)) continue;
    list.push_back(Describe(technique));
    if (!options.json) Print(technique, heading);
  }
  if (options.json) fmt::print("{}\n", Json{{"techniques", list}}.dump(2));
  return {};
}

}  // namespace

Action AddTechniques(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--stage", options->stage, "Only those that help prefill, decode or serving")
      ->check(CLI::IsMember({"prefill", "decode", "serving"}));
  app.add_flag("--exact", options->exact, "Only those that leave the result as it is");
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
