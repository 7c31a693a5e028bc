// Which settings are worth having: quality against memory, and the front of those that no other one beats.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "evaluation/runner/evaluation.h"

namespace hone {

struct ParetoPoint {
  std::string name;
  double bytes = 0.0;
  double score = 0.0;
  double low = 0.0, high = 0.0;  // 95 % interval of the score
  bool on_front = false;  // no other point takes at most its bytes and scores better, or less and as well
};

// Sets on_front.
void MarkFront(std::vector<ParetoPoint>& points, bool lower_is_better);

// One point a setting: bytes of weights and of keys and values of `context` tokens, score in one task.
std::vector<ParetoPoint> PointsOf(const std::vector<SettingResult>& results, size_t task, int64_t context);

// One panel a task, drawn with gnuplot as STEM.svg and STEM.png; STEM.gnuplot stays beside them. An error
// where gnuplot is not there or complains.
Result<void> DrawFronts(const std::vector<SettingResult>& results, const std::vector<EvalTask>& tasks,
                        int64_t context, const std::string& title, const std::string& stem);

}  // namespace hone
