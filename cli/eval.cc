// hone eval MODEL --tasks A,B --settings w16,w4: how good a model is, setting by setting.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/eval_tasks.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "core/kernels/cpu/cpu_target.h"
#include "evaluation/runner/evaluation.h"
#include "evaluation/runner/pareto.h"
#include "language/models/plan_use.h"

namespace hone {
namespace {

struct Options {
  ModelOptions model;
  std::vector<std::string> tasks{"perplexity", "cloze", "choice"};
  std::vector<std::string> settings{"w16"};
  TaskOptions task;
  std::vector<std::string> compare;
  std::string picture;
  int64_t context = 1024;
  bool simulate = false;
  bool json = false;
};

// The settings with the plans of --plan, then the first of them with each plan of --compare too.
Result<std::vector<EvalSetting>> MakeSettings(const Options& options) {
  std::vector<EvalSetting> settings;
  for (const std::string& name : options.settings) {
    HONE_TRY(EvalSetting setting, ParseSetting(name, options.simulate));
    setting.plans = options.model.plans;
    settings.push_back(std::move(setting));
  }
  for (const std::string& plan : options.compare) {
    EvalSetting setting = settings.front();
    const std::filesystem::path folder = std::filesystem::path(plan + "/").lexically_normal().parent_path();
    setting.name += "+" + folder.filename().string();
    setting.plans.push_back(plan);
    HONE_CHECK_OK(ReadPlans(setting.plans));  // a wrong folder is seen at once
    settings.push_back(std::move(setting));
  }
  return settings;
}

Result<void> Run(const Options& options) {
  HONE_CHECK_OK(InitCpuTarget());
  EvaluationOptions evaluation;
  HONE_TRY(evaluation.source.model, FindModel(options.model));
  evaluation.source.threads = options.model.threads;
  evaluation.cancel = &CatchInterrupts();
  HONE_TRY(evaluation.settings, MakeSettings(options));
  HONE_TRY(evaluation.tasks, MakeTasks(options.tasks, options.task));
  HONE_TRY(const std::vector<SettingResult> results, EvaluateWithBar(evaluation));
  if (!options.picture.empty())
    HONE_CHECK_OK(
        DrawFronts(results, evaluation.tasks, options.context, options.model.model, options.picture));
  fmt::print("{}{}",
             options.json ? EvaluationJson(results, evaluation.tasks, options.context)
                          : EvaluationText(results, evaluation.tasks, options.context),
             options.json ? "\n" : "");
  return {};
}

}  // namespace

Action AddEval(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model.model,
                 "A GGUF file, a Hugging Face folder or the name of a model that was pulled")
      ->required();
  app.add_option("--threads", options->model.threads, "Threads")->check(CLI::Range(1, 1024));
  app.add_option("--tasks", options->tasks,
                 "perplexity, cloze, choice, arithmetic, linesN (N records), dialogue, or FILE.jsonl beside "
                 "FILE.task.json")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option(
         "--settings", options->settings,
         "Such as w16,w4,w4a8kv16: bits of weights, activations, keys and values; the first is the reference")
      ->delimiter(',')
      ->capture_default_str();
  AddTaskOptions(app, options->task);
  app.add_option("--plan", options->model.plans,
                 "Folder of a plan that all settings use; may be given more than once")
      ->allow_extra_args(false);
  app.add_option("--compare", options->compare,
                 "Folders of plans, separated by commas: the first setting is measured with each of them too")
      ->delimiter(',');
  app.add_option("--picture", options->picture,
                 "Draws score against memory with gnuplot, as this name with .svg and .png");
  app.add_option("--context", options->context, "Tokens whose keys and values count as memory")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_flag("--simulate", options->simulate,
               "Round floats in the place of packed forms: any number of bits, at the speed of floats");
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
