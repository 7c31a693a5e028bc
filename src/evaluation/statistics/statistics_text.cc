// Statistics as a table and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "evaluation/statistics/tensor_statistics.h"

namespace hone {
namespace {

// The tensors of one kind over all layers.
struct Kind {
  TensorGroup group;
  std::string name;
  PowerSums sums;
  int largest_layer = -1;
  double least_kurtosis = 0.0, largest_kurtosis = 0.0;
  int kurtosis_layer = -1;
};

std::vector<Kind> KindsOf(const std::vector<TensorStatistics>& statistics) {
  std::vector<Kind> kinds;
  for (const TensorStatistics& one : statistics) {
    auto at = std::ranges::find_if(
        kinds, [&](const Kind& kind) { return kind.group == one.group && kind.name == one.kind; });
    if (at == kinds.end())
      at = kinds.insert(kinds.end(), Kind{one.group, one.kind, {}, one.layer, 1e300, 0.0, one.layer});
    if (one.sums.largest > at->sums.largest) at->largest_layer = one.layer;
    const double kurtosis = one.sums.kurtosis();
    if (kurtosis > at->largest_kurtosis) {
      at->largest_kurtosis = kurtosis;
      at->kurtosis_layer = one.layer;
    }
    at->least_kurtosis = std::min(at->least_kurtosis, kurtosis);
    at->sums.Add(one.sums);
  }
  return kinds;
}

std::string Layer(int layer) { return layer < 0 ? "" : fmt::format("layer {}", layer); }

}  // namespace

std::string StatisticsText(const std::vector<TensorStatistics>& statistics, bool layers) {
  std::string text;
  if (layers) {
    text = fmt::format("{:<12} {:<31} {:>5} {:>11} {:>11} {:>10}\n", "", "tensor", "layer", "maximum",
                       "deviation", "kurtosis");
    for (const TensorStatistics& one : statistics) {
      text += fmt::format("{:<12} {:<31} {:>5} {:11.4g} {:11.4g} {:10.4g}\n", Name(one.group), one.kind,
                          one.layer < 0 ? "" : fmt::to_string(one.layer), one.sums.largest,
                          one.sums.deviation(), one.sums.kurtosis());
    }
    return text;
  }
  text = fmt::format("{:<12} {:<31} {:>11} {:<9} {:>11} {:>22} {:<9}\n", "", "tensor", "maximum", "in",
                     "deviation", "kurtosis by layer", "most in");
  for (const Kind& kind : KindsOf(statistics)) {
    const std::string range =
        kind.least_kurtosis == kind.largest_kurtosis
            ? fmt::format("{:.4g}", kind.largest_kurtosis)
            : fmt::format("{:.4g} to {:.4g}", kind.least_kurtosis, kind.largest_kurtosis);
    text += fmt::format("{:<12} {:<31} {:11.4g} {:<9} {:11.4g} {:>22} {:<9}\n", Name(kind.group), kind.name,
                        kind.sums.largest, Layer(kind.largest_layer), kind.sums.deviation(), range,
                        Layer(kind.kurtosis_layer));
  }
  return text;
}

std::string StatisticsJson(const std::vector<TensorStatistics>& statistics) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const TensorStatistics& one : statistics) {
    nlohmann::ordered_json entry = {{"group", Name(one.group)}, {"tensor", one.kind}};
    if (one.layer >= 0) entry["layer"] = one.layer;
    entry["values"] = one.sums.count;
    entry["maximum"] = one.sums.largest;
    entry["mean"] = one.sums.mean();
    entry["deviation"] = one.sums.deviation();
    entry["kurtosis"] = one.sums.kurtosis();
    list.push_back(std::move(entry));
  }
  return nlohmann::ordered_json{{"tensors", std::move(list)}}.dump(2);
}

}  // namespace hone
