#include "evaluation/runner/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/progress.h"
#include "core/formats/safetensors/json_file.h"

namespace hone {
namespace {

std::string Size(double bytes) { return ReadableSize(static_cast<uint64_t>(bytes)); }

bool Better(const MeasuredFront& front, const ParetoPoint& a, const ParetoPoint& b) {
  return front.lower_is_better ? a.score < b.score : a.score > b.score;
}

// Whether point `a` is as good as point `b` as far as can be told.
bool AsGood(const MeasuredFront& front, size_t a, size_t b) {
  if (front.scores.empty()) return front.points[a].score == front.points[b].score;
  const Interval paired = PairedDifference(front.scores[a], front.scores[b]);
  return paired.low <= 0.0 && paired.high >= 0.0;
}

std::string_view UnitOf(bool lower_is_better) { return lower_is_better ? "nats a token" : "share right"; }

}  // namespace

MeasuredFront FrontOf(const std::vector<SettingResult>& results, size_t task, int64_t context) {
  const TaskScore& score = results.front().scores[task];
  const bool lower = LowerIsBetter(score.kind);
  MeasuredFront front{score.task, std::string(UnitOf(lower)),       lower,
                      context,    PointsOf(results, task, context), {}};
  for (const SettingResult& result : results) front.scores.push_back(result.scores[task]);
  return front;
}

Result<MeasuredFront> ReadFront(const std::string& path, const std::string& task) {
  HONE_TRY(const auto json, ReadJsonObject(path));
  MeasuredFront front{.task = task};
  const auto settings = json.find("settings");
  if (settings == json.end() || !settings->is_array() || settings->empty())
    return BadInput(path, "settings", "absent, expected what hone eval --json writes");
  front.context = json.value("context", int64_t{0});
  for (const auto& setting : *settings) {
    for (const char* field : {"setting", "bytes", "tasks"}) {
      if (!setting.contains(field)) return BadInput(path, std::string("settings[].") + field, "absent");
    }
    const auto& tasks = setting["tasks"];
    const auto found = std::ranges::find_if(
        tasks, [&](const auto& one) { return one.is_object() && one.value("task", std::string()) == task; });
    if (found == tasks.end() || !found->contains("score") || !found->contains("interval"))
      return BadInput(path, "settings[].tasks", "no score of the task {}", task);
    front.lower_is_better = found->value("lower_is_better", false);
    front.points.push_back({setting.value("setting", std::string()), setting.value("bytes", 0.0),
                            found->value("score", 0.0), (*found)["interval"].at(0).template get<double>(),
                            (*found)["interval"].at(1).template get<double>(), false});
  }
  front.unit = UnitOf(front.lower_is_better);
  MarkFront(front.points, front.lower_is_better);
  return front;
}

Result<Advice> Advise(const MeasuredFront& front, double bytes) {
  const std::vector<ParetoPoint>& points = front.points;
  std::optional<size_t> fitting;
  size_t smallest = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    if (points[i].bytes < points[smallest].bytes) smallest = i;
    if (points[i].bytes <= bytes && (!fitting || Better(front, points[i], points[*fitting]))) fitting = i;
  }
  if (!fitting) {
    return Failed("{}: no measured setting fits, the smallest ({}) takes {}", Size(bytes),
                  points[smallest].name, Size(points[smallest].bytes));
  }
  // What is as good as can be told takes less memory for nothing.
  size_t chosen = *fitting;
  for (size_t i = 0; i < points.size(); ++i) {
    if (points[i].bytes < points[chosen].bytes && AsGood(front, i, *fitting)) chosen = i;
  }
  const ParetoPoint* best = &points[*fitting];
  const ParetoPoint* choice = &points[chosen];
  Advice advice{*choice, {}};
  advice.reason =
      fmt::format("{} takes {} (weights, keys and values of {} tokens) and reaches {:.4f} {} in {}.",
                  choice->name, Size(choice->bytes), front.context, choice->score, front.unit, front.task);
  if (choice != best) {
    advice.reason += fmt::format(" {} reaches {:.4f} on {}: not told apart, so the smaller one is taken.",
                                 best->name, best->score, Size(best->bytes));
  }
  for (const ParetoPoint& point : front.points) {
    if (!point.on_front || point.name == choice->name || point.name == best->name) continue;
    if (point.bytes > bytes && Better(front, point, *best)) {
      advice.reason +=
          fmt::format(" {} would reach {:.4f}, but takes {}.", point.name, point.score, Size(point.bytes));
    } else if (point.bytes <= bytes) {
      advice.reason += fmt::format(" {} fits too and reaches only {:.4f}.", point.name, point.score);
    }
  }
  return advice;
}

}  // namespace hone
