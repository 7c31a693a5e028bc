#include "evaluation/simulation/group_rounding.h"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

constexpr float kLeastRange = 1e-5f;

// To the nearest whole number within [least, most], ties to even.
int Nearest(float x, int least, int most) {
  return static_cast<int>(std::clamp(std::nearbyint(x), static_cast<float>(least), static_cast<float>(most)));
}

template <class MakeGrid>
void RoundGroups(std::span<float> x, int64_t group, const MakeGrid& make) {
  const auto size = static_cast<size_t>(group);
  for (size_t begin = 0; begin < x.size(); begin += size) {
    const auto some = x.subspan(begin, std::min(size, x.size() - begin));
    const auto grid = make(some);
    for (float& value : some) value = grid.Value(grid.Code(value));
  }
}

}  // namespace

int AsymmetricGrid::Code(float x) const {
  const float offset = static_cast<float>(zero);
  return static_cast<int>(std::clamp(std::nearbyint(x / scale) + offset, 0.0f, static_cast<float>(most)));
}

AsymmetricGrid AsymmetricGridOf(std::span<const float> x, int bits) {
  const auto [low, high] = std::ranges::minmax_element(x);
  AsymmetricGrid grid;
  grid.most = (1 << bits) - 1;
  grid.scale = std::max(*high - *low, kLeastRange) / static_cast<float>(grid.most);
  grid.zero = Nearest(-std::nearbyint(*low / grid.scale), 0, grid.most);
  return grid;
}

int SymmetricGrid::Code(float x) const { return Nearest(x / scale, least, most); }

SymmetricGrid SymmetricGridOf(std::span<const float> x, int bits) {
  float largest = 0.0f;
  for (const float value : x) largest = std::max(largest, std::abs(value));
  SymmetricGrid grid;
  grid.most = (1 << (bits - 1)) - 1;
  grid.least = -grid.most - 1;
  grid.scale = std::max(largest, kLeastRange) / static_cast<float>(grid.most);
  return grid;
}

void RoundAsymmetric(std::span<float> x, int bits, int64_t group) {
  RoundGroups(x, group, [&](std::span<const float> some) { return AsymmetricGridOf(some, bits); });
}

void RoundSymmetric(std::span<float> x, int bits, int64_t group) {
  RoundGroups(x, group, [&](std::span<const float> some) { return SymmetricGridOf(some, bits); });
}

StoredGrid StoredGridOf(const AsymmetricGrid& grid) {
  return {F32ToF16(grid.scale), F32ToF16(-static_cast<float>(grid.zero) * grid.scale)};
}

}  // namespace hone
