#include "core/base/text_distance.h"

#include <algorithm>
#include <vector>

namespace hone {

int EditDistance(std::string_view a, std::string_view b) {
  // Three rows of the table: the last swap looks back two.
  std::vector<int> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int substituted = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, substituted});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::string_view Nearest(std::string_view name, std::span<const std::string_view> candidates) {
  std::string_view nearest;
  int least = static_cast<int>(std::max<size_t>(1, name.size() / 3)) + 1;
  for (const std::string_view candidate : candidates) {
    const bool begins = name.size() >= 3 && candidate.starts_with(name);
    const int distance = begins ? 1 : EditDistance(name, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string Suggestion(std::string_view name, std::span<const std::string_view> candidates) {
  const std::string_view nearest = Nearest(name, candidates);
  return nearest.empty() ? "" : ", did you mean " + std::string(nearest) + "?";
}

}  // namespace hone
