#include "language/serving/step_costs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

double Between(const StepCosts::Point& a, const StepCosts::Point& b, int64_t rows) {
  const double slope = (b.seconds - a.seconds) / static_cast<double>(b.rows - a.rows);
  return a.seconds + slope * static_cast<double>(rows - a.rows);
}

double At(const std::vector<StepCosts::Point>& points, int64_t rows) {
  if (points.empty() || rows <= 0) return 0.0;
  if (points.size() == 1 || rows <= points.front().rows) return points.front().seconds;
  size_t next = 1;
  while (next + 1 < points.size() && points[next].rows < rows) ++next;
  return Between(points[next - 1], points[next], rows);
}

bool IsNonNegative(const Json& value) { return value.is_number() && value.get<double>() >= 0.0; }

// Empty where the field is absent.
Result<std::vector<StepCosts::Point>> ReadPoints(const Json& json, const char* field,
                                                 const std::string& file) {
  std::vector<StepCosts::Point> points;
  const auto found = json.find(field);
  if (found == json.end()) return points;
  if (!found->is_array()) return BadInput(file, field, "expected an array of [rows, seconds]");
  for (const Json& point : *found) {
    const bool pair = point.is_array() && point.size() == 2 && point[0].is_number_integer();
    if (!pair || !IsNonNegative(point[1])) {
      return BadInput(file, field, "found {}, expected [rows, seconds]", point.dump());
    }
    const auto rows = point[0].get<int64_t>();
    if (!points.empty() && rows <= points.back().rows) {
      return BadInput(file, field, "{} rows after {}, expected rising rows", rows, points.back().rows);
    }
    points.push_back({rows, point[1].get<double>()});
  }
  return points;
}

Json PointsJson(const std::vector<StepCosts::Point>& points) {
  Json json = Json::array();
  for (const StepCosts::Point& point : points) json.push_back({point.rows, point.seconds});
  return json;
}

}  // namespace

double StepCosts::Seconds(const StepLoad& load) const {
  if (points.empty() || load.rows <= 0) return 0.0;
  const double attention = seconds_per_decode_entry * static_cast<double>(load.decode_context) +
                           seconds_per_prefill_entry * static_cast<double>(load.prefill_context);
  if (prompt_points.empty()) return At(points, load.rows) + attention;
  const double logits = std::max(0.0, At(points, load.decode_rows) - At(prompt_points, load.decode_rows));
  return At(prompt_points, load.rows) + logits + attention;
}

Result<StepCosts> ParseStepCosts(const std::string& text, const std::string& file) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return BadInput(file, "JSON", "not an object");
  StepCosts costs;
  HONE_TRY(costs.points, ReadPoints(json, "points", file));
  if (costs.points.empty()) return BadInput(file, "points", "expected an array of [rows, seconds]");
  HONE_TRY(costs.prompt_points, ReadPoints(json, "prompt_points", file));
  for (const auto& [name, value] : {std::pair{"seconds_per_decode_entry", &costs.seconds_per_decode_entry},
                                    std::pair{"seconds_per_prefill_entry", &costs.seconds_per_prefill_entry},
                                    std::pair{"paired", &costs.paired}}) {
    const auto found = json.find(name);
    if (found == json.end()) continue;
    if (!IsNonNegative(*found)) return BadInput(file, name, "found {}, expected a number", found->dump());
    *value = found->get<double>();
  }
  return costs;
}

std::string StepCostsJson(const StepCosts& costs) {
  Json json;
  json["points"] = PointsJson(costs.points);
  if (!costs.prompt_points.empty()) json["prompt_points"] = PointsJson(costs.prompt_points);
  json["seconds_per_decode_entry"] = costs.seconds_per_decode_entry;
  json["seconds_per_prefill_entry"] = costs.seconds_per_prefill_entry;
  json["paired"] = costs.paired;
  return json.dump();
}

}  // namespace hone
