// The tasks of hone eval and hone advise: their flags, their names and how they are run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "evaluation/runner/evaluation.h"

namespace CLI {
class App;
}

namespace hone {

struct TaskOptions {
  std::string text;
  std::string problems;
  std::string dialogues;
  int64_t items = 200;
  uint64_t seed = 1;
};

// --text, --problems, --dialogues, --items and --seed; `options` outlives `app`.
void AddTaskOptions(CLI::App& app, TaskOptions& options);

// perplexity, cloze, choice, arithmetic, dialogue, lines, linesN and paths of task files (.jsonl). An unknown
// name, and a task whose text was not given, is refused.
Result<std::vector<EvalTask>> MakeTasks(const std::vector<std::string>& names, const TaskOptions& options);

// Evaluate with a folder for its copies and a progress bar on standard error.
Result<std::vector<SettingResult>> EvaluateWithBar(const EvaluationOptions& evaluation);

}  // namespace hone
