#include "evaluation/runner/pareto.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/downloads/gnuplot.h"

namespace hone {
namespace {

constexpr double kMegabyte = 1e6;
constexpr int kPanelWidth = 520;
constexpr int kPanelHeight = 420;

std::string PanelText(const std::vector<ParetoPoint>& points, const EvalTask& task, size_t number) {
  std::string all = fmt::format("$all{} << END\n", number);
  std::vector<const ParetoPoint*> front;
  for (const ParetoPoint& point : points) {
    all += fmt::format("{} {} {} {} \"{}\"\n", point.bytes / kMegabyte, point.score, point.low, point.high,
                       point.name);
    if (point.on_front) front.push_back(&point);
  }
  std::ranges::sort(front, {}, &ParetoPoint::bytes);
  std::string line = fmt::format("END\n$front{} << END\n", number);
  for (const ParetoPoint* point : front)
    line += fmt::format("{} {}\n", point->bytes / kMegabyte, point->score);
  return all + line +
         fmt::format(
             "END\nset title '{0}' noenhanced\nset ylabel '{1}'\n"
             "plot $front{2} with lines lw 2 lc rgb '#c0504d' title 'front', "
             "$all{2} using 1:2:3:4 with yerrorbars pt 7 ps 0.6 lc rgb '#5b8fd6' title '95 % interval', "
             "$all{2} using 1:2:5 with labels left offset char 0.7,0.5 noenhanced font ',9' notitle\n",
             task.name,
             LowerIsBetter(task.kind) ? "nats a token (less is better)" : "share right (more is better)",
             number);
}

}  // namespace

void MarkFront(std::vector<ParetoPoint>& points, bool lower_is_better) {
  const double sign = lower_is_better ? -1.0 : 1.0;
  for (ParetoPoint& point : points) {
    point.on_front = std::ranges::none_of(points, [&](const ParetoPoint& other) {
      const double gain = sign * (other.score - point.score);
      return (other.bytes <= point.bytes && gain > 0.0) || (other.bytes < point.bytes && gain >= 0.0);
    });
  }
}

std::vector<ParetoPoint> PointsOf(const std::vector<SettingResult>& results, size_t task, int64_t context) {
  std::vector<ParetoPoint> points;
  for (const SettingResult& result : results) {
    const TaskScore& score = result.scores[task];
    points.push_back({result.setting.name, result.Bytes(context), score.score, score.interval.low,
                      score.interval.high, false});
  }
  MarkFront(points, LowerIsBetter(results.front().scores[task].kind));
  return points;
}

Result<void> DrawFronts(const std::vector<SettingResult>& results, const std::vector<EvalTask>& tasks,
                        int64_t context, const std::string& title, const std::string& stem) {
  const int columns = std::min<int>(2, static_cast<int>(tasks.size()));
  const int rows = (static_cast<int>(tasks.size()) + columns - 1) / columns;
  std::string panels;
  for (size_t t = 0; t < tasks.size(); ++t) panels += PanelText(PointsOf(results, t, context), tasks[t], t);
  const auto drawn = [&](const char* terminal, const char* ending) {
    return fmt::format(
        "set terminal {0} size {1},{2}{3}\nset output '{4}.{5}'\nset multiplot layout {6},{7} title '{8}' "
        "noenhanced\nset xlabel 'MB: weights, keys and values of {9} tokens'\nset grid\nset key top right\n"
        "set offsets graph 0.05, graph 0.25, graph 0.1, graph 0.1\n{10}unset multiplot\nunset output\n",
        terminal, kPanelWidth * columns, kPanelHeight * rows + 40,
        std::string_view(ending) == "svg" ? " background rgb 'white'" : "", stem, ending, rows, columns,
        title, context, panels);
  };
  const std::string text = drawn("svg", "svg") + drawn("png", "png");
  const std::string script = stem + ".gnuplot";
  return RunGnuplot(script, text);
}

}  // namespace hone
