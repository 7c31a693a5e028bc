// How one band of 16 rows and 16 columns of a mixed matrix (see mixed_weights.h) is rounded.
#pragma once

#include <array>

#include "core/kernels/mixed_matrix.h"
#include "core/tensor/half.h"

namespace hone {

inline float RoundedToHalf(float value) { return F16ToF32(F32ToF16(value)); }

constexpr int kBandRows = static_cast<int>(kRowGroup);
using BandValues = std::array<float, kBandColumns>;

// The codes of a row of one band: w' = (code - zero) * scale.
struct BandRow {
  float scale = 0.0f;
  int zero = 0;
};

// A tile's scales (c + o) u.
struct TileScales {
  int offset = 0;
  float unit = 0.0f;
};

struct MixedTile {
  std::array<BandRow, kBandRows> rows;
  std::array<int, kBandRows> codes{};  // c
  TileScales scales;
};

// sum_j h_j (w_j - w'_j)^2 of one row of a band with codes from 0 to `levels` - 1.
float Loss(const BandValues& w, const BandValues& h, const BandRow& row, int levels);

// The 16 rows of a 2-bit band; `codes` levels of scales, 0: float16 scales of their own. `search`: the scale
// and zero that lose least by h; otherwise the range of the row.
MixedTile ChooseTwoBits(const std::array<BandValues, kBandRows>& w, const BandValues& h, int codes,
                        bool search);

// The 16 rows of a 4-bit band, with float16 scales.
MixedTile ChooseFourBits(const std::array<BandValues, kBandRows>& w, const BandValues& h, bool search);

}  // namespace hone
