#include "language/serving/step_costs.h"

#include <nlohmann/json.hpp>

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

double Between(const StepCosts::Point& a, const StepCosts::Point& b, int64_t rows) {
  const double slope = (b.seconds - a.seconds) / static_cast<double>(b.rows - a.rows);
  return a.seconds + slope * static_cast<double>(rows - a.rows);
}

bool IsNonNegative(const Json& value) { return value.is_number() && value.get<double>() >= 0.0; }

}  // namespace

double StepCosts::Seconds(const StepLoad& load) const {
  if (points.empty() || load.rows <= 0) return 0.0;
  const double attention = seconds_per_decode_entry * static_cast<double>(load.decode_context) +
                           seconds_per_prefill_entry * static_cast<double>(load.prefill_context);
  if (points.size() == 1 || load.rows <= points.front().rows) return points.front().seconds + attention;
  size_t next = 1;
  while (next + 1 < points.size() && points[next].rows < load.rows) ++next;
  return Between(points[next - 1], points[next], load.rows) + attention;
}

Result<StepCosts> ParseStepCosts(const std::string& text, const std::string& file) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return BadInput(file, "JSON", "not an object");
  StepCosts costs;
  const auto points = json.find("points");
  if (points == json.end() || !points->is_array() || points->empty()) {
    return BadInput(file, "points", "expected an array of [rows, seconds]");
  }
  for (const Json& point : *points) {
    const bool pair = point.is_array() && point.size() == 2 && point[0].is_number_integer();
    if (!pair || !IsNonNegative(point[1])) {
      return BadInput(file, "points", "found {}, expected [rows, seconds]", point.dump());
    }
    costs.points.push_back({point[0].get<int64_t>(), point[1].get<double>()});
    const size_t count = costs.points.size();
    if (count > 1 && costs.points[count - 1].rows <= costs.points[count - 2].rows) {
      return BadInput(file, "points", "{} rows after {}, expected rising rows", costs.points[count - 1].rows,
                      costs.points[count - 2].rows);
    }
  }
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
  json["points"] = Json::array();
  for (const StepCosts::Point& point : costs.points) json["points"].push_back({point.rows, point.seconds});
  json["seconds_per_decode_entry"] = costs.seconds_per_decode_entry;
  json["seconds_per_prefill_entry"] = costs.seconds_per_prefill_entry;
  json["paired"] = costs.paired;
  return json.dump();
}

}  // namespace hone
