// Which of the sixteen levels of IQ4_NL lies nearest to an integer.
#pragma once

#include <array>
#include <cstdint>

#include "core/tensor/blocks.h"

namespace hone {

struct NearestNonlinear {
  float level[256];    // of v - 128
  int32_t index[256];  // in kNonlinearLevels; the lower one where two are as near
};

constexpr NearestNonlinear MakeNearestNonlinear() {
  NearestNonlinear nearest{};
  for (int slot = 0; slot < 256; ++slot) {
    const int value = slot - 128;
    int best = 0;
    for (int i = 1; i < 16; ++i) {
      const auto distance = [&](int k) {
        const int off = value - kNonlinearLevels[k];
        return off < 0 ? -off : off;
      };
      if (distance(i) < distance(best)) best = i;
    }
    nearest.level[slot] = kNonlinearLevels[best];
    nearest.index[slot] = best;
  }
  return nearest;
}

inline constexpr NearestNonlinear kNearestNonlinear = MakeNearestNonlinear();

}  // namespace hone
