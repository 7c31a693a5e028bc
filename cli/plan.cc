// hone plan show | merge: what is in the folders that calibration and tuning write.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"
#include "core/formats/plan/plan.h"
#include "language/models/plan_use.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  CLI::App* show = nullptr;
  std::vector<std::string> folders;
  std::string out;
  bool json = false;
};

// The summary of the technique that reads the part, or nothing.
std::string_view Summary(const std::string& name) {
  for (const PlanUse& use : PlanUses()) {
    if (use.name == name) return use.summary;
  }
  return {};
}

Json Describe(const std::string& name, const PlanPart& part) {
  Json json = {{"acts", Name(part.acts)}, {"read_by_this_program", !Summary(name).empty()}};
  for (const auto& [key, value] : part.made_for) json["made_for"][std::string(Name(key))] = value;
  json["settings"] = Json::parse(part.settings, nullptr, false);
  json["tensors"] = Json::object();
  for (const auto& [tensor_name, tensor] : part.tensors)
    json["tensors"][tensor_name] = {{"type", Info(tensor.type).name}, {"shape", tensor.shape}};
  return json;
}

void Print(const std::string& name, const PlanPart& part) {
  const std::string_view summary = Summary(name);
  fmt::print("{}: {}\n", name, summary.empty() ? "no technique of this program reads it" : summary);
  fmt::print("  acts      {}\n", part.acts == PlanStage::kLoad ? "at load" : "in the runner");
  for (const auto& [key, value] : part.made_for) fmt::print("  made for  {} {}\n", Name(key), value);
  const Json settings = Json::parse(part.settings, nullptr, false);
  constexpr size_t kLongest = 200;
  for (const auto& [key, value] : settings.items()) {
    std::string text = value.dump(-1, ' ', true);
    if (text.size() > kLongest) text = text.substr(0, kLongest) + fmt::format("... ({} bytes)", text.size());
    fmt::print("  {:<9} {}\n", key, text);
  }
  for (const auto& [tensor_name, tensor] : part.tensors)
    fmt::print("  tensor    {} {} [{}]\n", tensor_name, Info(tensor.type).name,
               fmt::join(tensor.shape, ", "));
}

Result<Plan> ReadAll(const std::vector<std::string>& folders) {
  Plan plan;
  for (const std::string& folder : folders) {
    HONE_TRY(Plan more, ReadPlan(folder));
    HONE_CHECK_OK(MergePlan(std::move(more), plan));
  }
  return plan;
}

Result<void> Run(const Options& options) {
  HONE_TRY(const Plan plan, ReadAll(options.folders));
  if (!options.show->parsed()) return WritePlan(plan, options.out);
  if (options.json) {
    Json json = Json::object();
    for (const auto& [name, part] : plan.parts) json[name] = Describe(name, part);
    fmt::print("{}\n", Json{{"parts", json}}.dump(2, ' ', true));
    return {};
  }
  for (const auto& [name, part] : plan.parts) Print(name, part);
  if (plan.parts.empty()) fmt::print("no parts\n");
  return {};
}

}  // namespace

Action AddPlan(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.require_subcommand(1);
  options->show = app.add_subcommand("show", "Print the parts of a plan: what each was made for and holds");
  options->show->add_option("DIR", options->folders, "The plan's folder")->required()->expected(1);
  options->show->add_flag("--json", options->json, "Write one JSON object");
  CLI::App* merge = app.add_subcommand("merge", "Write a plan with the parts of several others");
  merge->add_option("DIR", options->folders, "Folders of plans; no part may be in two of them")->required();
  merge->add_option("-o,--out", options->out, "The folder to write")->required();
  return [options] { return Run(*options); };
}

}  // namespace hone
