#include "core/search/tuner.h"

#include <algorithm>
#include <limits>

namespace hone {
namespace {

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::vector<Configuration> Space::Enumerate() const {
  std::vector<Configuration> all = {{}};
  for (const std::vector<int64_t>& values : dimensions) {
    std::vector<Configuration> longer;
    for (const Configuration& prefix : all) {
      for (const int64_t value : values) {
        longer.push_back(prefix);
        longer.back().push_back(value);
      }
    }
    all = std::move(longer);
  }
  if (valid) std::erase_if(all, [&](const Configuration& configuration) { return !valid(configuration); });
  return all;
}

std::string_view Name(MeterKind kind) {
  switch (kind) {
    case MeterKind::kMeasured:
      return "measured";
    case MeterKind::kReplayed:
      return "replayed";
    case MeterKind::kModelled:
      return "modelled";
  }
  return "";
}

Result<std::vector<Candidate>> Tune(const Space& space, const Meter& meter, const Objective& objective,
                                    const TunerOptions& options) {
  const std::vector<Configuration> all = space.Enumerate();
  if (all.empty()) return WrongUsage("tuner: the space holds no valid configuration");
  std::vector<Candidate> candidates;
  for (const Configuration& configuration : all) candidates.push_back({configuration, 0, 0.0});
  std::vector<std::vector<double>> costs(candidates.size());
  std::vector<bool> racing(candidates.size(), true);
  for (int round = 0; round < std::max(1, options.rounds); ++round) {
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (!racing[i]) continue;
      HONE_TRY(const std::vector<double> reading, meter.read(candidates[i].configuration));
      costs[i].push_back(objective(reading));
      candidates[i].readings = round + 1;
      candidates[i].cost = Median(costs[i]);
      least = std::min(least, candidates[i].cost);
    }
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].cost > (1.0 + options.slack) * least) racing[i] = false;
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.readings != b.readings ? a.readings > b.readings : a.cost < b.cost;
  });
  return candidates;
}

}  // namespace hone
