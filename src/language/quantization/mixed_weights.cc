#include "language/quantization/mixed_weights.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <numeric>

#include "core/base/random.h"
#include "core/tensor/half.h"

namespace hone {
namespace {

constexpr int kRows = static_cast<int>(kRowGroup);
using BandValues = std::array<float, kBandColumns>;

float RoundedToHalf(float value) { return F16ToF32(F32ToF16(value)); }

// The codes of a row of one band: w' = (code - zero) * scale.
struct BandRow {
  float scale = 0.0f;
  int zero = 0;
};

// Codes from 0 to `levels` - 1. Written so that the compiler makes vectors of it: the sum is positive, so
// that cutting off is rounding.
void Encode(const BandValues& w, const BandRow& row, int levels, std::array<int, kBandColumns>& codes) {
  const float inverse = row.scale > 0.0f ? 1.0f / row.scale : 0.0f;
  const float shift = static_cast<float>(row.zero) + 0.5f;
  const float most = static_cast<float>(levels) - 0.5f;
  for (int i = 0; i < kBandColumns; ++i)
    codes[i] = static_cast<int>(std::min(most, std::max(0.5f, w[i] * inverse + shift)));
}

// sum_j h_j (w_j - w'_j)^2
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

// A tile's scales (c + o) u.
struct TileScales {
  int offset = 0;
  float unit = 0.0f;
};

// The o and u that come nearest to the rows' scales.
TileScales FitScales(const std::array<BandRow, kRows>& rows, const std::array<float, kRows>& weight,
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
      for (int r = 0; r < kRows; ++r) {
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

struct MixedTile {
  std::array<BandRow, kRows> rows;
  std::array<int, kRows> codes{};  // c
  TileScales scales;
};

// The 16 rows of a 2-bit band; `codes` levels of scales, 0: float16 scales of their own.
MixedTile ChooseTwoBits(const std::array<BandValues, kRows>& w, const BandValues& h, int codes, bool search) {
  MixedTile tile;
  const auto keep = [](float scale) { return scale; };
  for (int r = 0; r < kRows; ++r) {
    tile.rows[r] =
        codes == 0 ? BestRange(w[r], h, 4, search, RoundedToHalf) : BestRange(w[r], h, 4, search, keep);
  }
  if (codes == 0) return tile;
  std::array<float, kRows> weight;
  for (int r = 0; r < kRows; ++r) {
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
  for (int r = 0; r < kRows; ++r) {
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

MixedTile ChooseFourBits(const std::array<BandValues, kRows>& w, const BandValues& h, bool search) {
  MixedTile tile;
  for (int r = 0; r < kRows; ++r) tile.rows[r] = BestRange(w[r], h, 16, search, RoundedToHalf);
  return tile;
}

// One group of 16 rows on its way.
class GroupQuantizer {
 public:
  GroupQuantizer(const MixedLayout& layout, std::span<const uint8_t> is_four,
                 std::span<const float> importance, std::span<const float> inverse_factor,
                 const MixedOptions& options)
      : layout_(layout),
        is_four_(is_four),
        importance_(importance),
        factor_(inverse_factor),
        options_(options),
        place_(is_four.size()) {
    for (size_t i = 0; i < layout.two.size(); ++i) place_[layout.two[i]] = static_cast<int64_t>(i);
    for (size_t i = 0; i < layout.four.size(); ++i) place_[layout.four[i]] = static_cast<int64_t>(i);
  }

  // w [16, columns], changed; `group` where not null is written, `values` [16, columns] where not null too.
  void Run(std::vector<float>& w, std::byte* group, float* values) const {
    std::vector<uint8_t> outlier = ChooseOutliers(w);
    for (size_t band = 0; band < is_four_.size(); ++band) {
      std::array<BandValues, kRows> block = Read(w, band, &outlier);
      const MixedTile tile = Choose(band, block);
      TwoBitTile two;
      FourBitTile four;
      for (int i = 0; i < kBandColumns; ++i) {
        const size_t column = band * kBandColumns + static_cast<size_t>(i);
        for (int r = 0; r < kRows; ++r) {
          float& now = w[static_cast<size_t>(r) * columns() + column];
          float rounded;
          if (outlier[static_cast<size_t>(r) * columns() + column] != 0) {
            rounded = RoundedToHalf(now);
            SetCode(band, r, i, tile.rows[r].zero, two, four);
          } else {
            const int code = CodeOf(now, tile.rows[r], is_four_[band] != 0 ? 16 : 4);
            rounded = static_cast<float>(code - tile.rows[r].zero) * tile.rows[r].scale;
            SetCode(band, r, i, code, two, four);
          }
          if (!factor_.empty()) Spread(w.data() + static_cast<size_t>(r) * columns(), column, now - rounded);
          now = rounded;
        }
      }
      if (group != nullptr) Write(band, tile, two, four, group);
    }
    if (values != nullptr) std::copy(w.begin(), w.end(), values);
    if (group != nullptr) WriteOutliers(w, outlier, group);
  }

  // sum_j h_j (w - w')^2 of a band at 2 bits.
  double LossOfBand(const std::vector<float>& w, size_t band) const {
    const std::array<BandValues, kRows> block = Read(w, band, nullptr);
    const BandValues h = Importance(band);
    const MixedTile tile = ChooseTwoBits(block, h, Codes(0), options_.search);
    double loss = 0.0;
    for (int r = 0; r < kRows; ++r) loss += static_cast<double>(Loss(block[r], h, tile.rows[r], 4));
    return loss;
  }

 private:
  size_t columns() const { return static_cast<size_t>(layout_.columns); }

  BandValues Importance(size_t band) const {
    BandValues h;
    for (int i = 0; i < kBandColumns; ++i)
      h[i] = importance_.empty()
                 ? 1.0f
                 : std::max(importance_[band * kBandColumns + static_cast<size_t>(i)], 1e-12f);
    return h;
  }

  // The band's values, 0 where an outlier stands.
  std::array<BandValues, kRows> Read(const std::vector<float>& w, size_t band,
                                     const std::vector<uint8_t>* outlier) const {
    std::array<BandValues, kRows> block;
    for (int r = 0; r < kRows; ++r) {
      for (int i = 0; i < kBandColumns; ++i) {
        const size_t at = static_cast<size_t>(r) * columns() + band * kBandColumns + static_cast<size_t>(i);
        block[r][i] = outlier != nullptr && (*outlier)[at] != 0 ? 0.0f : w[at];
      }
    }
    return block;
  }

  int Codes(size_t band) const {
    switch (options_.scales) {
      case ScaleForm::kPacked:
        return ScaleCodes(place_[band]);
      case ScaleForm::kFourBits:
        return 16;
      case ScaleForm::kHalf:
        return 0;
    }
    return 0;
  }

  MixedTile Choose(size_t band, const std::array<BandValues, kRows>& block) const {
    if (is_four_[band] != 0) return ChooseFourBits(block, Importance(band), options_.search);
    return ChooseTwoBits(block, Importance(band), Codes(band), options_.search);
  }

  static int CodeOf(float value, const BandRow& row, int levels) {
    if (row.scale <= 0.0f) return row.zero;
    const float code = value / row.scale + static_cast<float>(row.zero) + 0.5f;
    return static_cast<int>(std::clamp(code, 0.5f, static_cast<float>(levels) - 0.5f));
  }

  void SetCode(size_t band, int row, int column, int code, TwoBitTile& two, FourBitTile& four) const {
    (is_four_[band] != 0 ? four.code : two.code)[row][column] = static_cast<uint8_t>(code);
  }

  // GPTQ: the columns behind `column` make up for its error.
  void Spread(float* row, size_t column, float error) const {
    const float* factor = factor_.data() + column * columns();
    const float share = error / factor[column];
    for (size_t k = column + 1; k < columns(); ++k) row[k] -= share * factor[k];
  }

  // The same number in each row: those that lose most in their bands, twice, for a range shrinks without
  // them.
  std::vector<uint8_t> ChooseOutliers(const std::vector<float>& w) const {
    std::vector<uint8_t> outlier(w.size(), 0);
    if (layout_.outliers == 0) return outlier;
    std::vector<float> loss(columns());
    std::vector<size_t> order(columns());
    for (int pass = 0; pass < 2; ++pass) {
      std::vector<uint8_t> next(w.size(), 0);
      std::vector<MixedTile> tiles(is_four_.size());
      for (size_t band = 0; band < is_four_.size(); ++band)
        tiles[band] = Choose(band, Read(w, band, &outlier));
      for (int r = 0; r < kRows; ++r) {
        for (size_t column = 0; column < columns(); ++column) {
          const size_t band = column / kBandColumns;
          const bool allowed = is_four_[band] == 0 || options_.outliers == OutlierPlace::kAnywhere;
          const float value = w[static_cast<size_t>(r) * columns() + column];
          const BandRow& row = tiles[band].rows[r];
          const float rounded =
              static_cast<float>(CodeOf(value, row, is_four_[band] != 0 ? 16 : 4) - row.zero) * row.scale;
          const float h = importance_.empty() ? 1.0f : importance_[column];
          loss[column] = allowed ? h * (value - rounded) * (value - rounded) : -1.0f;
        }
        std::iota(order.begin(), order.end(), size_t{0});
        std::nth_element(order.begin(), order.begin() + layout_.outliers - 1, order.end(),
                         [&](size_t a, size_t b) { return loss[a] != loss[b] ? loss[a] > loss[b] : a < b; });
        for (int64_t k = 0; k < layout_.outliers; ++k) {
          const size_t column = order[static_cast<size_t>(k)];
          if (loss[column] >= 0.0f) next[static_cast<size_t>(r) * columns() + column] = 1;
        }
      }
      outlier = std::move(next);
    }
    return outlier;
  }

  void Write(size_t band, const MixedTile& tile, TwoBitTile& two, FourBitTile& four, std::byte* group) const {
    for (int r = 0; r < kRows; ++r) {
      two.zero[r] = four.zero[r] = static_cast<uint8_t>(tile.rows[r].zero);
      two.scale[r] = static_cast<uint8_t>(tile.codes[r]);
      four.scale[r] = tile.rows[r].scale;
    }
    two.offset = static_cast<uint8_t>(tile.scales.offset);
    two.unit = tile.scales.unit;
    if (is_four_[band] != 0) {
      WriteTile(layout_, place_[band], four, group);
    } else {
      WriteTile(layout_, place_[band], two, group);
    }
  }

  void WriteOutliers(const std::vector<float>& w, const std::vector<uint8_t>& outlier,
                     std::byte* group) const {
    for (int r = 0; r < kRows; ++r) {
      int64_t k = 0;
      for (size_t column = 0; column < columns(); ++column) {
        const size_t at = static_cast<size_t>(r) * columns() + column;
        if (outlier[at] != 0) WriteOutlier(layout_, r, k++, {static_cast<uint16_t>(column), w[at]}, group);
      }
    }
  }

  const MixedLayout& layout_;
  std::span<const uint8_t> is_four_;
  std::span<const float> importance_;
  std::span<const float> factor_;
  const MixedOptions& options_;
  std::vector<int64_t> place_;  // of each band among those of its kind
};

// A group's rows, zero where the matrix ends.
std::vector<float> ReadGroup(MatrixView<const float> w, int64_t group) {
  std::vector<float> rows(static_cast<size_t>(kRowGroup * w.columns), 0.0f);
  for (int64_t r = 0; r < std::min(kRowGroup, w.rows - group * kRowGroup); ++r)
    std::copy_n(w.row(group * kRowGroup + r), w.columns, rows.begin() + r * w.columns);
  return rows;
}

std::vector<double> Sensitivities(ComputeShare& share, MatrixView<const float> w,
                                  std::span<const float> importance, const MixedOptions& options) {
  const auto bands = static_cast<size_t>(w.columns / kBandColumns);
  std::vector<double> sensitivity(bands, 0.0);
  if (options.rule == BandRule::kRandom) {
    for (size_t band = 0; band < bands; ++band)
      sensitivity[band] = static_cast<double>(RandomWord(options.seed, band, 0));
    return sensitivity;
  }
  const std::vector<uint8_t> none(bands, 0);
  MixedLayout layout;
  layout.columns = w.columns;
  for (size_t band = 0; band < bands; ++band) layout.two.push_back(static_cast<uint16_t>(band));
  const GroupQuantizer quantizer(layout, none, importance, {}, options);
  share.ParallelFor(static_cast<int64_t>(bands), [&](int64_t task) {
    const auto band = static_cast<size_t>(task);
    double squares = 0.0, moments = 0.0;
    for (int i = 0; i < kBandColumns; ++i)
      moments += importance.empty()
                     ? 1.0
                     : static_cast<double>(importance[band * kBandColumns + static_cast<size_t>(i)]);
    if (options.rule == BandRule::kError) {
      for (int64_t group = 0; group * kRowGroup < w.rows; ++group)
        squares += quantizer.LossOfBand(ReadGroup(w, group), band);
      sensitivity[band] = squares;
      return;
    }
    for (int64_t row = 0; row < w.rows; ++row) {
      const float* from = w.row(row) + task * kBandColumns;
      const auto [low, high] = std::minmax_element(from, from + kBandColumns);
      squares += static_cast<double>(*high - *low) * static_cast<double>(*high - *low);
    }
    sensitivity[band] = moments * squares;
  });
  return sensitivity;
}

// The bands of 4 bits: those with the largest sensitivity, as many as the share allows and leave a multiple
// of three.
std::vector<uint8_t> ChooseBands(const std::vector<double>& sensitivity, double share) {
  const auto bands = static_cast<int64_t>(sensitivity.size());
  const double wanted = share * static_cast<double>(bands);
  int64_t count = bands % 3;
  while (static_cast<double>(count + 3) <= wanted) count += 3;
  std::vector<size_t> order(sensitivity.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sensitivity[a] > sensitivity[b]; });
  std::vector<uint8_t> four(sensitivity.size(), 0);
  for (int64_t i = 0; i < count; ++i) four[order[static_cast<size_t>(i)]] = 1;
  return four;
}

Result<void> Check(MatrixView<const float> w, std::span<const float> importance,
                   std::span<const float> factor, const MixedOptions& options) {
  const auto columns = static_cast<size_t>(w.columns);
  if (w.rows < 1 || w.columns < 1 || w.columns % 32 != 0 || w.columns > 65536)
    return WrongUsage("mixed weights: [{}, {}], expected a multiple of 32 columns, up to 65536", w.rows,
                      w.columns);
  if (!importance.empty() && importance.size() != columns)
    return WrongUsage("mixed weights: importance of {} columns, expected {}", importance.size(), columns);
  if (!factor.empty() && factor.size() != columns * columns)
    return WrongUsage("mixed weights: {} second moments, expected {}", factor.size(), columns * columns);
  if (!(options.four_bit_share >= 0.0 && options.four_bit_share <= 1.0) ||
      !(options.outlier_share >= 0.0 && options.outlier_share <= 0.1)) {
    return WrongUsage("mixed weights: 4-bit share {}, outlier share {}, expected 0 to 1 and 0 to 0.1",
                      options.four_bit_share, options.outlier_share);
  }
  for (int64_t row = 0; row < w.rows; ++row) {
    for (const float value : w.row_span(row)) {
      if (!std::isfinite(value)) return Failed("mixed weights: row {} holds a value that is not finite", row);
    }
  }
  return {};
}

}  // namespace

Result<MixedWeights> QuantizeMixed(ComputeShare& share, MatrixView<const float> w,
                                   std::span<const float> importance, std::span<const float> inverse_factor,
                                   const MixedOptions& options, bool keep_values) {
  HONE_CHECK_OK(Check(w, importance, inverse_factor, options));
  const std::vector<uint8_t> four =
      ChooseBands(Sensitivities(share, w, importance, options), options.four_bit_share);
  const auto twos = static_cast<double>(std::count(four.begin(), four.end(), 0));
  const auto outliers = static_cast<int64_t>(std::lround(options.outlier_share * twos * kBandColumns));
  MixedWeights mixed;
  HONE_TRY(mixed.layout, MixedLayout::Make(four, outliers));
  mixed.rows = w.rows;
  const bool packed = options.scales == ScaleForm::kPacked && options.outliers == OutlierPlace::kTwoBitBands;
  const int64_t groups = (w.rows + kRowGroup - 1) / kRowGroup;
  if (packed) mixed.groups.resize(static_cast<size_t>(groups * mixed.layout.bytes()));
  if (keep_values) mixed.values.resize(static_cast<size_t>(w.rows * w.columns));
  const GroupQuantizer quantizer(mixed.layout, four, importance, inverse_factor, options);
  share.ParallelFor(groups, [&](int64_t group) {
    std::vector<float> rows = ReadGroup(w, group);
    std::vector<float> values(keep_values ? rows.size() : 0);
    quantizer.Run(rows, packed ? mixed.groups.data() + group * mixed.layout.bytes() : nullptr,
                  keep_values ? values.data() : nullptr);
    if (!keep_values) return;
    const int64_t valid = std::min(kRowGroup, w.rows - group * kRowGroup);
    std::copy_n(values.begin(), valid * w.columns, mixed.values.begin() + group * kRowGroup * w.columns);
  });
  return mixed;
}

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
