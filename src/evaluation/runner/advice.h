// Which setting to take for a task on so much memory: from what was measured on this model, not from a rule.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "evaluation/runner/pareto.h"

namespace hone {

struct MeasuredFront {
  std::string task;
  std::string unit;
  bool lower_is_better = false;
  int64_t context = 0;  // whose keys and values count
  std::vector<ParetoPoint> points;
  std::vector<TaskScore> scores;  // one a point where they were measured now: pairs tell more than intervals
};

// Task number `task` of results.
MeasuredFront FrontOf(const std::vector<SettingResult>& results, size_t task, int64_t context);
// Task `task` of what `hone eval --json` wrote; errors name the file and the field.
Result<MeasuredFront> ReadFront(const std::string& path, const std::string& task);

struct Advice {
  ParetoPoint choice;
  std::string reason;  // some sentences
};

// Of the points that take at most `bytes` the one with the best score; of those that are not told apart from
// it by the 95 % interval of the paired difference (without scores: those that score the same) the smallest.
// An error where none fits, with what would be needed.
Result<Advice> Advise(const MeasuredFront& front, double bytes);

}  // namespace hone
