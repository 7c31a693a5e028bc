#include "cli/eval_tasks.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "cli/text_input.h"
#include "core/base/progress.h"
#include "core/base/text_distance.h"

namespace hone {
namespace {

constexpr std::string_view kTaskNames[] = {"perplexity", "cloze", "choice",
                                           "arithmetic", "lines", "dialogue"};

// The texts that tasks are made of, by the flag that names their files.
struct Texts {
  std::string text, problems, dialogues;
};

Result<Texts> ReadTexts(const TaskOptions& options) {
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

Result<EvalTask> MakeLines(const TaskOptions& options, const std::string& name) {
  int64_t lines = 20;
  const std::string_view number = std::string_view(name).substr(5);
  const auto [end, failure] = std::from_chars(number.data(), number.data() + number.size(), lines);
  const bool read = number.empty() || (failure == std::errc() && end == number.data() + number.size());
  if (read && lines >= 1 && lines <= 1024) return MakeRetrievalTask(lines, options.items, options.seed);
  return WrongUsage("eval: --tasks: {}, expected lines1 to lines1024", name);
}

Result<EvalTask> MakeTask(const TaskOptions& options, const std::string& name, const Texts& texts) {
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

}  // namespace

void AddTaskOptions(CLI::App& app, TaskOptions& options) {
  app.add_option("--text", options.text, "The text that perplexity, cloze and choice are cut out of");
  app.add_option("--problems", options.problems, "GSM8K's problems, one JSON object a line");
  app.add_option(
      "--dialogues", options.dialogues,
      "Two-turn questions, one JSON object with \"turns\" a line, in the place of the built-in ones");
  app.add_option("--items", options.items, "Items a task, at most")
      ->check(CLI::Range(4, 1 << 20))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of what is drawn")->capture_default_str();
}

Result<std::vector<EvalTask>> MakeTasks(const std::vector<std::string>& names, const TaskOptions& options) {
  HONE_TRY(const Texts texts, ReadTexts(options));
  std::vector<EvalTask> tasks;
  for (const std::string& name : names) {
    HONE_TRY(EvalTask task, MakeTask(options, name, texts));
    tasks.push_back(std::move(task));
  }
  return tasks;
}

Result<std::vector<SettingResult>> EvaluateWithBar(const EvaluationOptions& evaluation) {
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

}  // namespace hone
