// hone eval MODEL --tasks A,B --settings w16,w4: how good a model is, setting by setting.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/text_input.h"
#include "core/base/progress.h"
#include "core/base/text_distance.h"
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
  std::string text;
  std::string problems;
  std::string dialogues;
  std::vector<std::string> compare;
  std::string picture;
  int64_t context = 1024;
  int64_t items = 200;
  uint64_t seed = 1;
  bool json = false;
};

constexpr std::string_view kTaskNames[] = {"perplexity", "cloze", "choice",
                                           "arithmetic", "lines", "dialogue"};

// The texts that tasks are made of, by the flag that names their files.
struct Texts {
  std::string text, problems, dialogues;
};

Result<Texts> ReadTexts(const Options& options) {
  Texts texts;
  const std::pair<const std::string*, std::string*> files[] = {{&options.text, &texts.text},
                                                               {&options.problems, &texts.problems},
                                                               {&options.dialogues, &texts.dialogues}};
  for (const auto& [name, text] : files) {
    if (name->empty()) continue;
    HONE_TRY(*text, ReadText(*name));
  }
  return texts;
}

Result<EvalTask> MakeLines(const Options& options, const std::string& name) {
  int64_t lines = 20;
  const std::string_view number = std::string_view(name).substr(5);
  const auto [end, failure] = std::from_chars(number.data(), number.data() + number.size(), lines);
  const bool read = number.empty() || (failure == std::errc() && end == number.data() + number.size());
  if (read && lines >= 1 && lines <= 1024) return MakeRetrievalTask(lines, options.items, options.seed);
  return WrongUsage("eval: --tasks: {}, expected lines1 to lines1024", name);
}

Result<EvalTask> MakeTask(const Options& options, const std::string& name, const Texts& texts) {
  if (name.ends_with(".jsonl")) return ReadTaskFile(name, options.items);
  TaskSource source{.name = options.text, .text = texts.text, .items = options.items, .seed = options.seed};
  if (name.starts_with("lines")) return MakeLines(options, name);
  if (name == "dialogue") {
    source.name = options.dialogues;
    source.text = texts.dialogues;
    return MakeDialogueTask(source);
  }
  if (name == "arithmetic") {
    if (options.problems.empty())
      return WrongUsage("eval: the task arithmetic needs --problems FILE (GSM8K's JSON lines)");
    source.name = options.problems;
    source.text = texts.problems;
    return MakeArithmeticTask(source);
  }
  const bool known = std::ranges::find(kTaskNames, name) != std::end(kTaskNames);
  if (!known) return WrongUsage("eval: unknown task {}{}", name, Suggestion(name, kTaskNames));
  if (options.text.empty())
    return WrongUsage("eval: the task {} needs --text FILE (hone pull shakespeare fetches one)", name);
  if (name == "perplexity") return MakePerplexityTask(source);
  return name == "cloze" ? MakeClozeTask(source) : MakeChoiceTask(source);
}

// The settings with the plans of --plan, then the first of them with each plan of --compare too.
Result<std::vector<EvalSetting>> MakeSettings(const Options& options) {
  std::vector<EvalSetting> settings;
  for (const std::string& name : options.settings) {
    HONE_TRY(EvalSetting setting, ParseSetting(name));
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

Result<std::vector<SettingResult>> Measure(const EvaluationOptions& evaluation) {
  std::string folder = (std::filesystem::temp_directory_path() / "hone-eval-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return Failed("{}: cannot be made", folder);
  EvaluationOptions run = evaluation;
  run.source.folder = folder;
  std::unique_ptr<Progress> bar;
  std::string shown;
  run.progress = [&](const std::string& what, int64_t done, int64_t total) {
    if (what != shown) bar.reset();
    if (!bar) bar = std::make_unique<Progress>(what, static_cast<uint64_t>(total), Progress::Unit::kItems);
    shown = what;
    bar->Update(static_cast<uint64_t>(done));
  };
  auto results = Evaluate(run);
  bar.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return results;
}

Result<void> Run(const Options& options) {
  HONE_CHECK_OK(InitCpuTarget());
  EvaluationOptions evaluation;
  HONE_TRY(evaluation.source.model, FindModel(options.model));
  evaluation.source.threads = options.model.threads;
  evaluation.cancel = &CatchInterrupts();
  HONE_TRY(evaluation.settings, MakeSettings(options));
  HONE_TRY(const Texts texts, ReadTexts(options));
  for (const std::string& name : options.tasks) {
    HONE_TRY(EvalTask task, MakeTask(options, name, texts));
    evaluation.tasks.push_back(std::move(task));
  }
  HONE_TRY(const std::vector<SettingResult> results, Measure(evaluation));
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
  app.add_option("--text", options->text, "The text that perplexity, cloze and choice are cut out of");
  app.add_option("--problems", options->problems, "GSM8K's problems, one JSON object a line");
  app.add_option(
      "--dialogues", options->dialogues,
      "Two-turn questions, one JSON object with \"turns\" a line, in the place of the built-in ones");
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
  app.add_option("--items", options->items, "Items a task, at most")
      ->check(CLI::Range(4, 1 << 20))
      ->capture_default_str();
  app.add_option("--seed", options->seed, "Of what is drawn")->capture_default_str();
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
