#include "language/quantization/mixed_weights.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <numeric>

#include "core/base/random.h"
#include "language/quantization/mixed_tile.h"

namespace hone {
namespace {

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
      std::array<BandValues, kBandRows> block = Read(w, band, &outlier);
      const MixedTile tile = Choose(band, block);
      TwoBitTile two;
      FourBitTile four;
      for (int i = 0; i < kBandColumns; ++i) {
        const size_t column = band * kBandColumns + static_cast<size_t>(i);
        for (int r = 0; r < kBandRows; ++r) {
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
    const std::array<BandValues, kBandRows> block = Read(w, band, nullptr);
    const BandValues h = Importance(band);
    const MixedTile tile = ChooseTwoBits(block, h, Codes(0), options_.search);
    double loss = 0.0;
    for (int r = 0; r < kBandRows; ++r) loss += static_cast<double>(Loss(block[r], h, tile.rows[r], 4));
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
  std::array<BandValues, kBandRows> Read(const std::vector<float>& w, size_t band,
                                         const std::vector<uint8_t>* outlier) const {
    std::array<BandValues, kBandRows> block;
    for (int r = 0; r < kBandRows; ++r) {
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

  MixedTile Choose(size_t band, const std::array<BandValues, kBandRows>& block) const {
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
      for (int r = 0; r < kBandRows; ++r) {
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
    for (int r = 0; r < kBandRows; ++r) {
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
    for (int r = 0; r < kBandRows; ++r) {
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

}  // namespace hone
