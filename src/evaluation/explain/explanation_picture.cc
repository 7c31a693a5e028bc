#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "core/base/progress.h"
#include "evaluation/explain/explanation.h"

namespace hone {
namespace {

constexpr double kWidth = 980, kHeight = 530;
constexpr double kPlotLeft = 78, kPlotRight = 560, kPlotTop = 86, kPlotBottom = 440;
constexpr double kBarsLeft = 640, kBarWidth = 70, kBarGap = 34;
constexpr const char* kText = "#24292f";
constexpr const char* kFaint = "#8c959f";
constexpr const char* kGrid = "#eaeef2";

// One colour an operator, in the order of Operator; neighbours differ for the colour-blind too.
constexpr const char* kColours[kOperators] = {"#b07aa1", "#bab0ac", "#4e79a7", "#9c755f", "#d4a6c8",
                                              "#e15759", "#76b7b2", "#f28e2b", "#86bcb6", "#59a14f",
                                              "#edc948", "#ff9da7", "#d7d7d7"};
const char* Colour(Operator op) { return kColours[static_cast<size_t>(op)]; }

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

std::string Label(double x, double y, std::string_view text, int size = 12, const char* anchor = "start",
                  const char* colour = kText, const char* more = "") {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' font-size='{}' text-anchor='{}' fill='{}'{}>{}</text>\n", x,
                     y, size, anchor, colour, more, Escaped(text));
}

std::string Line(double x1, double y1, double x2, double y2, const char* colour, double width,
                 const char* more = "") {
  return fmt::format(
      "<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' stroke='{}' stroke-width='{}'{}/>\n", x1, y1, x2,
      y2, colour, width, more);
}

// An operator's place in the roofline.
struct Point {
  Operator op;
  bool decode;
  double intensity;  // operations for each byte of weights and KV
  double speed;      // operations a second
  double share;      // of the stage's time
};

std::vector<Point> Points(const Explanation& explanation) {
  constexpr double kWorthAPoint = 0.01;  // of the stage's time
  std::vector<Point> points;
  for (const StageCost& stage : explanation.stages) {
    for (const OperatorCost& cost : stage.costs) {
      const double operations = cost.work.float_operations + cost.work.byte_operations;
      const double bytes = cost.work.weight_bytes + cost.work.kv_bytes;
      const double share = cost.measured_seconds / stage.wall_seconds;
      if (cost.op == Operator::kNorm || cost.op == Operator::kEmbedding || bytes <= 0.0 ||
          operations <= 0.0 || share < kWorthAPoint)
        continue;
      points.push_back(
          {cost.op, stage.name == "decode", operations / bytes, operations / cost.measured_seconds, share});
    }
  }
  return points;
}

// Logarithmic axes.
class Axes {
 public:
  Axes(const std::vector<Point>& points, const MachineLimits& limits) {
    x_low_ = 0.5, x_high_ = 2000;
    y_high_ = 2.0 * std::max(limits.byte_operations, limits.float_operations);
    y_low_ = y_high_ * 1e-3;
    for (const Point& point : points) {
      x_low_ = std::min(x_low_, point.intensity / 1.5);
      x_high_ = std::max(x_high_, point.intensity * 2);
      y_low_ = std::min(y_low_, point.speed / 1.5);
    }
  }
  double x(double intensity) const {
    return kPlotLeft + (kPlotRight - kPlotLeft) * std::log(intensity / x_low_) / std::log(x_high_ / x_low_);
  }
  double y(double speed) const {
    return kPlotBottom - (kPlotBottom - kPlotTop) * std::log(speed / y_low_) / std::log(y_high_ / y_low_);
  }
  double x_low() const { return x_low_; }
  double x_high() const { return x_high_; }
  double y_low() const { return y_low_; }
  double y_high() const { return y_high_; }

 private:
  double x_low_, x_high_, y_low_, y_high_;
};

std::string Grid(const Axes& axes) {
  std::string svg;
  for (double power = std::pow(10.0, std::ceil(std::log10(axes.x_low()))); power <= axes.x_high();
       power *= 10) {
    svg += Line(axes.x(power), kPlotTop, axes.x(power), kPlotBottom, kGrid, 1);
    svg += Label(axes.x(power), kPlotBottom + 16, fmt::format("{:g}", power), 11, "middle", kFaint);
  }
  for (double power = std::pow(10.0, std::ceil(std::log10(axes.y_low()))); power <= axes.y_high();
       power *= 10) {
    svg += Line(kPlotLeft, axes.y(power), kPlotRight, axes.y(power), kGrid, 1);
    svg += Label(kPlotLeft - 6, axes.y(power) + 4, fmt::format("{:g}", power * 1e-9), 11, "end", kFaint);
  }
  svg += Line(kPlotLeft, kPlotBottom, kPlotRight, kPlotBottom, kFaint, 1);
  svg += Line(kPlotLeft, kPlotTop, kPlotLeft, kPlotBottom, kFaint, 1);
  svg += Label((kPlotLeft + kPlotRight) / 2, kPlotBottom + 34, "operations for each byte read from memory",
               12, "middle");
  const std::string turn = fmt::format(" transform='rotate(-90 24 {:.0f})'", (kPlotTop + kPlotBottom) / 2);
  return svg + Label(24, (kPlotTop + kPlotBottom) / 2, "billion operations a second", 12, "middle", kText,
                     turn.c_str());
}

std::string Roofs(const Axes& axes, const MachineLimits& limits) {
  std::string svg;
  const double top = std::max(limits.byte_operations, limits.float_operations);
  const double ridge = top / limits.memory_bandwidth;
  const double from = std::max(axes.x_low(), axes.y_low() / limits.memory_bandwidth);
  svg += Line(axes.x(from), axes.y(from * limits.memory_bandwidth), axes.x(ridge), axes.y(top), kText, 2);
  svg += Line(axes.x(ridge), axes.y(top), kPlotRight, axes.y(top), kText, 2);
  svg += Label(axes.x(ridge) + 4, axes.y(top) - 6, fmt::format("bytes: {:.0f} Gop/s", top * 1e-9), 11);
  const double float_ridge = limits.float_operations / limits.memory_bandwidth;
  svg += Line(axes.x(float_ridge), axes.y(limits.float_operations), kPlotRight,
              axes.y(limits.float_operations), kText, 1.5, " stroke-dasharray='6 4'");
  svg += Label(axes.x(float_ridge) + 14, axes.y(limits.float_operations) - 6,
               fmt::format("floats: {:.0f} Gop/s", limits.float_operations * 1e-9), 11);
  const double at = from * 2.2;
  const double angle =
      -std::atan2(axes.y(at * limits.memory_bandwidth) - axes.y(2 * at * limits.memory_bandwidth),
                  axes.x(2 * at) - axes.x(at)) *
      180.0 / 3.14159265358979;
  const double x = axes.x(at) - 6, y = axes.y(at * limits.memory_bandwidth) - 8;
  const std::string turn = fmt::format(" transform='rotate({:.1f} {:.1f} {:.1f})'", angle, x, y);
  return svg +
         Label(x, y,
               fmt::format("memory: {}/s", ReadableSize(static_cast<uint64_t>(limits.memory_bandwidth))), 11,
               "start", kText, turn.c_str());
}

// Names stand beside their points, moved apart where they would overlap.
std::string DrawPoints(const Axes& axes, std::vector<Point> points) {
  constexpr double kLineHeight = 14;
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.speed > b.speed; });
  std::string svg;
  for (const bool decode : {true, false}) {
    double last = -1e9;
    for (const Point& point : points) {
      if (point.decode != decode) continue;
      const double x = axes.x(point.intensity), y = axes.y(point.speed);
      const double radius = 3.0 + 9.0 * std::sqrt(point.share);
      svg += decode ? fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='{:.1f}' fill='{}' stroke='white'/>\n",
                                  x, y, radius, Colour(point.op))
                    : fmt::format(
                          "<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' fill='{}' "
                          "stroke='white'/>\n",
                          x - radius, y - radius, 2 * radius, 2 * radius, Colour(point.op));
      const double label = std::max(y + 4, last + kLineHeight);
      last = label;
      const bool left = x > kPlotRight - 130;
      svg += Label(left ? x - radius - 5 : x + radius + 5, label, Name(point.op), 11, left ? "end" : "start",
                   kText, " stroke='white' stroke-width='3' paint-order='stroke'");
    }
  }
  return svg;
}

struct Bar {
  std::string title;
  std::string time;
  std::vector<std::pair<Operator, double>> parts;  // shares of the measured time
};

std::string DrawBar(const Bar& bar, double x, double height) {
  std::string svg;
  double y = kPlotBottom;
  for (const auto& [op, share] : bar.parts) {
    const double part = share * height;
    y -= part;
    svg += fmt::format(
        "<rect x='{:.1f}' y='{:.1f}' width='{}' height='{:.1f}' fill='{}' stroke='white' "
        "stroke-width='0.5'/>\n",
        x, y, kBarWidth, part, Colour(op));
    if (part >= 13)
      svg += Label(x + kBarWidth / 2, y + part / 2 + 4, fmt::format("{:.0f} %", 100 * share), 10, "middle");
  }
  svg += Label(x + kBarWidth / 2, y - 6, bar.time, 11, "middle");
  return svg + Label(x + kBarWidth / 2, kPlotBottom + 16, bar.title, 11, "middle");
}

std::string Time(double seconds) {
  const double ms = seconds * 1e3;
  return fmt::format("{:.{}f} ms", ms, ms >= 100 ? 0 : ms >= 10 ? 1 : 2);
}

// For each stage what was measured, and what the limits alone would take, on the measured scale.
std::string Bars(const Explanation& explanation) {
  std::string svg;
  double x = kBarsLeft;
  double tallest = 1.0;
  for (const StageCost& stage : explanation.stages)
    tallest = std::max(tallest, stage.predicted_seconds() / stage.wall_seconds);
  const double height = (kPlotBottom - kPlotTop - 20) / tallest;
  for (const StageCost& stage : explanation.stages) {
    const bool decode = stage.name == "decode";
    const double stretches = decode ? static_cast<double>(stage.shape.rows) : 1.0;
    Bar measured{"measured", Time(stage.wall_seconds / stretches), {}};
    Bar predicted{"at the limits", Time(stage.predicted_seconds() / stretches), {}};
    std::vector<OperatorCost> costs = stage.costs;
    std::sort(costs.begin(), costs.end(),
              [](const OperatorCost& a, const OperatorCost& b) { return a.op < b.op; });
    for (const OperatorCost& cost : costs) {
      measured.parts.emplace_back(cost.op, cost.measured_seconds / stage.wall_seconds);
      predicted.parts.emplace_back(cost.op, cost.predicted_seconds() / stage.wall_seconds);
    }
    svg += DrawBar(measured, x, height) + DrawBar(predicted, x + kBarWidth + 6, height);
    svg += Label(x + kBarWidth + 3, kPlotBottom + 34,
                 decode ? "decode, one step" : fmt::format("prefill, {} tokens", stage.tokens), 12, "middle");
    x += 2 * kBarWidth + kBarGap;
  }
  return svg;
}

std::string Legend() {
  constexpr size_t kInARow = 7;
  constexpr double kColumn = 122;
  std::string svg;
  for (size_t i = 0; i < kOperators; ++i) {
    const Operator op = AllOperators()[i];
    const double x = kPlotLeft + kColumn * static_cast<double>(i % kInARow);
    const double y = kHeight - 36 + (i < kInARow ? 0 : 18);
    svg += fmt::format("<rect x='{:.1f}' y='{:.1f}' width='10' height='10' fill='{}'/>\n", x, y, Colour(op));
    svg += Label(x + 14, y + 9, Name(op), 11);
  }
  return svg;
}

}  // namespace

std::string ExplanationPicture(const Explanation& explanation) {
  const std::vector<Point> points = Points(explanation);
  const Axes axes(points, explanation.limits);
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {}' width='{}' height='{}' "
      "font-family='Helvetica, Arial, sans-serif'>\n<rect width='{}' height='{}' fill='white'/>\n",
      kWidth, kHeight, kWidth, kHeight, kWidth, kHeight);
  svg += Label(
      kPlotLeft, 26,
      fmt::format("{}, {} mode, {} threads", std::filesystem::path(explanation.model).filename().string(),
                  explanation.mode, explanation.threads),
      16, "start", kText, " font-weight='bold'");
  svg += Label(kPlotLeft, 44, explanation.machine, 12, "start", kFaint);
  svg += Label(kPlotLeft, 68, "Roofline: circles are decode, squares prefill; larger takes more of the time",
               12);
  svg += Label(kBarsLeft, 68, "Time by operator, and what the limits allow", 12);
  svg +=
      Grid(axes) + Roofs(axes, explanation.limits) + DrawPoints(axes, points) + Bars(explanation) + Legend();
  return svg + "</svg>\n";
}

}  // namespace hone
