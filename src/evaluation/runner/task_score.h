// From likelihoods to a task's score, and how sure it is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "evaluation/runner/likelihood.h"
#include "evaluation/tasks/eval_task.h"

namespace hone {

// What one item gave: a score is sum(value) / sum(weight).
struct ItemScore {
  double value = 0.0;             // kLikelihood, kDialogue: -log p of the text; else 1 where right
  double weight = 1.0;            // kLikelihood, kDialogue: tokens
  double confidence = 0.0;        // kChoice: probability that the model gives its choice, among the choices
  bool normalized_right = false;  // kChoice: right by log p divided by the characters of the choice
  double repetition = 0.0;        // kDialogue: see RepetitionRate
  bool counted = true;            // false: skipped, too long
};

struct Interval {
  double low = 0.0, high = 0.0;
};

struct TaskScore {
  std::string task;
  EvalKind kind = EvalKind::kLikelihood;
  double score = 0.0;              // nats a token, or a share of right answers
  Interval interval;               // 95 %, by the bootstrap over items
  double normalized = 0.0;         // kChoice: acc_norm, as lm-evaluation-harness has it
  double calibration_error = 0.0;  // kChoice: expected calibration error over ten bins of confidence
  double repetition = 0.0;         // kDialogue: mean over the answers
  int64_t items = 0;
  int64_t skipped = 0;
  int64_t shortened = 0;
  std::vector<ItemScore> by_item;
};

// Runs a task on a runner. `judge` scores what was said in dialogues; null: the runner itself.
Result<TaskScore> RunTask(const Reader& reader, const EvalTask& task, const LikelihoodOptions& options = {},
                          const Reader* judge = nullptr);

// Sum of |share right - mean confidence| over ten equal bins of confidence, each weighted by its items.
double CalibrationError(const std::vector<ItemScore>& items);

// 95 % interval of score(b) - score(a) over the same items: both are resampled together, 2,000 times, so that
// what makes an item hard for both cancels. Items that either skipped are left out.
Interval PairedDifference(const TaskScore& a, const TaskScore& b, uint64_t seed = 1);
// The same of one score by itself.
Interval ScoreInterval(const std::vector<ItemScore>& items, uint64_t seed = 1);

}  // namespace hone
