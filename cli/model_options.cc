#include "cli/model_options.h"

#include <CLI/CLI.hpp>

#include "core/base/compute_share.h"
#include "core/downloads/model_cache.h"
#include "language/models/plan_use.h"

namespace hone {
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
  app.add_option(
         "--plan", options.plans,
         "Folder of a plan, what calibration or tuning found for this model; may be given more than once")
      ->allow_extra_args(false);
  app.add_option("--chat-template", options.chat_template,
                 "A Jinja file that takes the place of the model's template");
  app.add_option("--rope-scaling", options.rope_scaling,
                 "How positions are stretched, in the place of what the file says")
      ->check(CLI::IsMember({"linear", "yarn"}));
  app.add_option("--kv-limit", options.kv_limit,
                 "Most bytes of keys and values, such as 512MB (default: no limit)")
      ->transform(CLI::AsSizeValue(false));
}

Result<std::string> FindModel(const ModelOptions& options) { return ResolveModel(options.model); }

Result<Plan> FindPlan(const ModelOptions& options) { return ReadPlans(options.plans); }

}  // namespace hone
