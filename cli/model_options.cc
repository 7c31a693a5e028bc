#include "cli/model_options.h"

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/compute_share.h"
#include "core/base/printable.h"
#include "core/downloads/model_cache.h"

namespace hone {
namespace {

// plan.json is {"version": 1, "parts": {NAME: ...}}. No technique that reads a part is built in yet, so a
// plan with parts is refused by the first one's name.
Result<void> CheckPlan(const std::string& folder) {
  const std::string path = folder + "/plan.json";
  std::ifstream file(path);
  if (!file) return BadInput(folder, "plan", "no plan.json in it, expected the folder of a plan");
  const auto plan = nlohmann::ordered_json::parse(file, nullptr, false);
  if (!plan.is_object()) return BadInput(path, "plan", "not a JSON object, expected version and parts");
  if (!plan.contains("version") || plan["version"] != 1) return BadInput(path, "version", "expected 1");
  if (!plan.contains("parts") || !plan["parts"].is_object())
    return BadInput(path, "parts", "expected an object");
  for (const auto& [name, part] : plan["parts"].items()) {
    return BadInput(path, "parts." + Printable(name), "no technique of this program reads it");
  }
  return {};
}

}  // namespace

int ModelOptions::ThreadCount() const { return threads > 0 ? threads : DefaultThreads(); }

void AddModelOptions(CLI::App& app, ModelOptions& options) {
  app.add_option(
         "MODEL", options.model,
         "A GGUF file, a Hugging Face folder, or the name of a model that was pulled (hone pull lists them)")
      ->required();
  app.add_flag("--exact", options.exact,
               "Float activations and a float KV cache: slower, closest to the reference");
  app.add_option("--threads", options.threads,
                 "Threads (default: the processors this process may use, at most one a core)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--plan", options.plan, "Folder of a plan: what calibration or tuning found for this model");
  app.add_option("--chat-template", options.chat_template,
                 "A Jinja file that takes the place of the model's template");
  app.add_option("--rope-scaling", options.rope_scaling,
                 "How positions are stretched, in the place of what the file says")
      ->check(CLI::IsMember({"linear", "yarn"}));
  app.add_option("--kv-limit", options.kv_limit,
                 "Most bytes of keys and values, such as 512MB (default: no limit)")
      ->transform(CLI::AsSizeValue(false));
}

Result<std::string> FindModel(const ModelOptions& options) {
  if (!options.plan.empty()) HONE_CHECK_OK(CheckPlan(options.plan));
  return ResolveModel(options.model);
}

}  // namespace hone
