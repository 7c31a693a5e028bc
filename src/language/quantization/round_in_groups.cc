#include "language/quantization/round_in_groups.h"

#include <algorithm>
#include <cmath>

#include "core/tensor/half.h"

namespace hone {
namespace {

float RoundedToHalf(float value) { return F16ToF32(F32ToF16(value)); }

}  // namespace

Result<double> RoundInGroups(MatrixView<const float> w, int bits, int64_t group,
                             std::span<const float> importance, MatrixView<float> values) {
  if (bits < 1 || bits > 8 || group < 1 || w.columns % group != 0 || values.rows != w.rows ||
      values.columns != w.columns)
    return WrongUsage("groups: {} bits in groups of {} for {} columns", bits, group, w.columns);
  const auto most = static_cast<float>((1 << bits) - 1);
  for (int64_t row = 0; row < w.rows; ++row) {
    for (int64_t begin = 0; begin < w.columns; begin += group) {
      const float* from = w.row(row) + begin;
      float* to = values.row(row) + begin;
      const auto [low, high] = std::minmax_element(from, from + group);
      float least = INFINITY;
      float best_scale = 0.0f, best_low = 0.0f;
      const auto loss_of = [&](float scale, float minimum) {
        float loss = 0.0f;
        for (int64_t i = 0; i < group; ++i) {
          const float code =
              scale > 0.0f ? std::clamp(std::round((from[i] - minimum) / scale), 0.0f, most) : 0.0f;
          const float error = from[i] - (code * scale + minimum);
          loss += (importance.empty() ? 1.0f : importance[static_cast<size_t>(begin + i)]) * error * error;
        }
        return loss;
      };
      for (int step = 0; step < 8; ++step) {
        const float shrink = 0.04f * static_cast<float>(step) * (*high - *low);
        const float minimum = RoundedToHalf(*low + 0.5f * shrink);
        const float scale = RoundedToHalf((*high - *low - shrink) / most);
        const float loss = loss_of(scale, minimum);
        if (loss < least) {
          least = loss;
          best_scale = scale;
          best_low = minimum;
        }
      }
      for (int64_t i = 0; i < group; ++i) {
        const float code =
            best_scale > 0.0f ? std::clamp(std::round((from[i] - best_low) / best_scale), 0.0f, most) : 0.0f;
        to[i] = code * best_scale + best_low;
      }
    }
  }
  return bits + 32.0 / static_cast<double>(group);
}

}  // namespace hone
