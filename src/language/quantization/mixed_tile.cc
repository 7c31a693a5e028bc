#include "language/quantization/mixed_tile.h"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

// Codes from 0 to `levels` - 1. Written so that the compiler makes vectors of it: the sum is positive, so
// that cutting off is rounding.
void Encode(const BandValues& w, const BandRow& row, int levels, std::array<int, kBandColumns>& codes) {
  const float inverse = row.scale > 0.0f ? 1.0f / row.scale : 0.0f;
  const float shift = static_cast<float>(row.zero) + 0.5f;
  const float most = static_cast<float>(levels) - 0.5f;
  for (int i = 0; i < kBandColumns; ++i)
    codes[i] = static_cast<int>(std::min(most, std::max(0.5f, w[i] * inverse + shift)));
}

}  // namespace

float Loss(const BandValues& w, const BandValues& h, const BandRow& row, int levels) {
  std::array<int, kBandColumns> codes;
  Encode(w, row, levels, codes);
  float loss = 0.0f;
  for (int i = 0; i < kBandColumns; ++i) {
    const float error = w[i] - static_cast<float>(codes[i] - row.zero) * row.scale;
    loss += h[i] * error * error;
  }
  return loss;
}

namespace {

// The paper's range: minimum and maximum, 0 between them.
BandRow RangeOf(const BandValues& w, int levels) {
  float low = 0.0f, high = 0.0f;
  for (const float value : w) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  BandRow row;
  row.scale = (high - low) / static_cast<float>(levels - 1);
  if (row.scale > 0.0f) row.zero = std::clamp(static_cast<int>(std::lround(-low / row.scale)), 0, levels - 1);
  return row;
}

// The scale and zero that lose least by h, found by shrinking the range; `round` is applied to every scale
// that is tried.
template <class Round>
BandRow BestRange(const BandValues& w, const BandValues& h, int levels, bool search, const Round& round) {
  BandRow best = RangeOf(w, levels);
  best.scale = round(best.scale);
  if (!search || best.scale == 0.0f) return best;
  float low = 0.0f, high = 0.0f;
  for (const float value : w) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  float least = Loss(w, h, best, levels);
  const auto attempt = [&](const BandRow& row) {
    if (row.scale <= 0.0f) return;
    const float loss = Loss(w, h, row, levels);
    if (loss < least) {
      least = loss;
      best = row;
    }
  };
  constexpr int kSteps = 10;
  for (int step = 0; step < kSteps; ++step) {
    const float part = 1.05f - 0.07f * static_cast<float>(step);
    if (levels == 4) {
      for (int zero = 0; zero < levels; ++zero) {
        const float above = zero < levels - 1 ? high / static_cast<float>(levels - 1 - zero) : 0.0f;
        const float below = zero > 0 ? -low / static_cast<float>(zero) : 0.0f;
        attempt({round(part * std::max(above, below)), zero});
      }
    } else {
      const float scale = round(part * (high - low) / static_cast<float>(levels - 1));
      if (scale <= 0.0f) continue;
      const int zero = static_cast<int>(std::lround(-low * part / scale));
      for (int near = zero - 1; near <= zero + 1; ++near) attempt({scale, std::clamp(near, 0, levels - 1)});
    }
  }
  return best;
}

// The o and u that come nearest to the rows' scales.
TileScales FitScales(const std::array<BandRow, kBandRows>& rows, const std::array<float, kBandRows>& weight,
                     int codes) {
  float most = 0.0f;
  for (const BandRow& row : rows) most = std::max(most, row.scale);
  TileScales best;
  if (most == 0.0f) return best;
  float least = INFINITY;
  for (int offset = 0; offset < 16; ++offset) {
    for (const float part : {1.0f, 0.95f, 0.9f}) {
      const float unit = RoundedToHalf(part * most / static_cast<float>(codes - 1 + offset));
      if (unit == 0.0f) continue;
      float loss = 0.0f;
      for (int r = 0; r < kBandRows; ++r) {
        const float code = std::clamp(std::round(rows[r].scale / unit) - static_cast<float>(offset), 0.0f,
                                      static_cast<float>(codes - 1));
        const float error = rows[r].scale - (code + static_cast<float>(offset)) * unit;
        loss += weight[r] * error * error;
      }
      if (loss < least) {
        least = loss;
        best = {offset, unit};
      }
    }
  }
  return best;
}

}  // namespace

MixedTile ChooseTwoBits(const std::array<BandValues, kBandRows>& w, const BandValues& h, int codes,
                        bool search) {
  MixedTile tile;
  const auto keep = [](float scale) { return scale; };
  for (int r = 0; r < kBandRows; ++r) {
    tile.rows[r] =
        codes == 0 ? BestRange(w[r], h, 4, search, RoundedToHalf) : BestRange(w[r], h, 4, search, keep);
  }
  if (codes == 0) return tile;
  std::array<float, kBandRows> weight;
  for (int r = 0; r < kBandRows; ++r) {
    std::array<int, kBandColumns> levels;
    Encode(w[r], tile.rows[r], 4, levels);
    weight[r] = 0.0f;
    for (int i = 0; i < kBandColumns; ++i) {
      const auto level = static_cast<float>(levels[i] - tile.rows[r].zero);
      weight[r] += h[i] * level * level;
    }
  }
  tile.scales = FitScales(tile.rows, weight, codes);
  if (tile.scales.unit == 0.0f) {
    for (BandRow& row : tile.rows) row = {0.0f, row.zero};
    return tile;
  }
  for (int r = 0; r < kBandRows; ++r) {
    const int nearest =
        std::clamp(static_cast<int>(std::lround(tile.rows[r].scale / tile.scales.unit)) - tile.scales.offset,
                   0, codes - 1);
    float least = INFINITY;
    const BandRow wanted = tile.rows[r];
    const int reach = search ? 2 : 0;
    for (int code = std::max(0, nearest - reach); code <= std::min(codes - 1, nearest + reach); ++code) {
      const float scale = tile.scales.unit * static_cast<float>(code + tile.scales.offset);
      for (int zero = search ? 0 : wanted.zero; zero <= (search ? 3 : wanted.zero); ++zero) {
        const float loss = Loss(w[r], h, {scale, zero}, 4);
        if (loss < least) {
          least = loss;
          tile.rows[r] = {scale, zero};
          tile.codes[r] = code;
        }
      }
    }
  }
  return tile;
}

MixedTile ChooseFourBits(const std::array<BandValues, kBandRows>& w, const BandValues& h, bool search) {
  MixedTile tile;
  for (int r = 0; r < kBandRows; ++r) tile.rows[r] = BestRange(w[r], h, 16, search, RoundedToHalf);
  return tile;
}

}  // namespace hone
