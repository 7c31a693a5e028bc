// Settings times tasks on one model: every setting runs on the very formats, kernels and caches that the
// engine serves with.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "evaluation/runner/setting_model.h"
#include "evaluation/runner/task_score.h"

namespace hone {

struct EvaluationOptions {
  SettingSource source;
  std::vector<EvalSetting> settings;
  std::vector<EvalTask> tasks;
  std::function<void(const std::string& what, int64_t done, int64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

struct SettingResult {
  EvalSetting setting;
  uint64_t weight_bytes = 0;     // that the loaded model holds
  double bits_per_weight = 0.0;  // bytes of the file's tensors times 8 over its weights
  double kv_bytes_per_token = 0.0;
  double seconds = 0.0;  // of all tasks
  std::vector<double> task_seconds;
  std::vector<TaskScore> scores;  // in the order of the tasks

  // What it takes to run: weights, and keys and values of `context` tokens.
  double Bytes(int64_t context) const {
    return static_cast<double>(weight_bytes) + kv_bytes_per_token * static_cast<double>(context);
  }
};

// Errors name the setting or task. The first setting is the reference of the others.
Result<std::vector<SettingResult>> Evaluate(const EvaluationOptions& options);

// `context` tokens of keys and values count as memory. For people: one block a task, one line a setting, with
// the difference to the reference and its 95 % interval.
std::string EvaluationText(const std::vector<SettingResult>& results, const std::vector<EvalTask>& tasks,
                           int64_t context = 1024);
std::string EvaluationJson(const std::vector<SettingResult>& results, const std::vector<EvalTask>& tasks,
                           int64_t context = 1024);

}  // namespace hone
