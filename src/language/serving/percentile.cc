#include "language/serving/percentile.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace hone {

double Percentile(std::span<const double> values, double p) {
  if (values.empty()) return 0.0;
  std::vector<double> sorted(values.begin(), values.end());
  const auto count = static_cast<double>(sorted.size());
  const auto at = static_cast<size_t>(std::clamp(std::ceil(p * count) - 1.0, 0.0, count - 1.0));
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(at), sorted.end());
  return sorted[at];
}

double Mean(std::span<const double> values) {
  if (values.empty()) return 0.0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace hone
