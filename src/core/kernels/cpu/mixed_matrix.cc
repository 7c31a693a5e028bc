// The kernels of core/kernels/mixed_matrix.h. Restoring a scale, (c + o) u, takes three operations on the
// 16-bit words that three bands share; it depends on nothing that the codes' products need, so the processor
// does it while those are under way.
#include "core/kernels/mixed_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/cpu/packed_format.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/mixed_matrix.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/mixed_row-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES

HWY_NOINLINE void RunMixedTiles(const MixedTiles& t) {
  constexpr int kRows = kLanes == 16 ? 8 : 4;
  const int64_t end = t.x->rows;
  int64_t m = 0;
  for (; m + kActivationGroup <= end; m += kActivationGroup) {
    for (int64_t i = 0; i < kActivationGroup; i += kRows) RunMixedTile<kRows, kActivationGroup>(t, m + i);
  }
  for (; m + 2 <= end; m += 2) RunMixedTile<2, 0>(t, m);
  if (m < end) RunMixedTile<1, 0>(t, m);
}

// Bands in the form of BandOfWeights, for weights that are multiplied with many activations.
constexpr int64_t kPanelBands = 64;
struct MixedPanel {
  static constexpr int kVector = 4 * kLanes;
  static constexpr int kBandBytes = 6 * 64;

  alignas(64) std::byte bytes[kPanelBands * kBandBytes];
  float units[kPanelBands];

  HWY_INLINE void Store(int64_t band, int part, const BandOfWeights& w) {
    std::byte* to = bytes + band * kBandBytes + kVector * part;
    for (int j = 0; j < 4; ++j) StoreInts(to + 64 * j, w.codes[j]);
    StoreInts(to + 256, w.zero);
    StoreFloats(to + 320, w.scale);
    units[band] = w.unit;
  }
  HWY_INLINE BandOfWeights Load(int64_t band, int part) const {
    const std::byte* from = bytes + band * kBandBytes + kVector * part;
    BandOfWeights w;
    for (int j = 0; j < 4; ++j) w.codes[j] = LoadInts(from + 64 * j);
    w.zero = LoadInts(from + 256);
    w.scale = LoadFloats(from + 320);
    w.unit = units[band];
    return w;
  }
};

// Bands [begin, end) of all, which `panel` holds.
template <int rows, int fixed_group_rows>
HWY_INLINE void RunMixedPanelTile(const MixedTiles& t, const MixedPanel& panel,
                                  std::span<const uint16_t> bands, int64_t begin, int64_t end, int64_t row) {
  const MixedActivations x = ActivationsAt(*t.x, row, fixed_group_rows);
  float* y = t.y + row * t.stride;
  Floats sum[kParts][rows];
  StartTile(begin == 0, y, t.stride, t.valid, sum);
  for (int64_t i = begin; i < end; ++i) {
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part)
      AddBand<rows>(panel.Load(i - begin, part), x, bands[static_cast<size_t>(i)], sum[part]);
  }
  if (end == static_cast<int64_t>(bands.size())) AddOutliers(*t.places, t.group, x, sum);
  StoreTile(sum, t.valid, y, t.stride);
}

HWY_NOINLINE void RunMixedPanel(const MixedTiles& t, const MixedPanel& panel, std::span<const uint16_t> bands,
                                int64_t begin, int64_t end) {
  constexpr int kRows = kLanes == 16 ? 8 : 4;
  const int64_t rows = t.x->rows;
  int64_t m = 0;
  for (; m + kActivationGroup <= rows; m += kActivationGroup) {
    for (int64_t i = 0; i < kActivationGroup; i += kRows)
      RunMixedPanelTile<kRows, kActivationGroup>(t, panel, bands, begin, end, m + i);
  }
  for (; m < rows; ++m) RunMixedPanelTile<1, 0>(t, panel, bands, begin, end, m);
}

void MultiplyMixedPanels(const MixedTiles& t, std::span<const uint16_t> bands) {
  MixedPanel panel;
  const auto all = static_cast<int64_t>(bands.size());
  for (int64_t begin = 0; begin < all; begin += kPanelBands) {
    const int64_t end = std::min(all, begin + kPanelBands);
    for (int64_t band = begin; band < end; ++band) {
      for (int part = 0; part < kParts; ++part)
        panel.Store(band - begin, part, AnyBand(*t.places, t.group, band, part));
    }
    RunMixedPanel(t, panel, bands, begin, end);
  }
}

void MixedInt8(const MixedLayout& layout, const MatmulTask& task) {
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
  const MixedPlaces places(layout);
  std::vector<uint16_t> bands;
  if (kernel == MatmulKernel::kPanels) {
    bands = layout.two;
    bands.insert(bands.end(), layout.four.begin(), layout.four.end());
  }
  const std::vector<ThreeBandsOfRow> ordered =
      x.rows == 1 ? OrderRow(places, x) : std::vector<ThreeBandsOfRow>();
  const int64_t group_bytes = w.format->GroupBytes(w.columns);
  for (int64_t row = row_begin; row < row_end; row += kRowGroup) {
    const MixedTiles tiles{&places,      places.At(w.data + row / kRowGroup * group_bytes),
                           &x,           std::min(kRowGroup, row_end - row),
                           y.data + row, y.stride};
    if (x.rows == 1) {
      RunMixedRow(tiles, ordered);
    } else if (kernel == MatmulKernel::kPanels) {
      MultiplyMixedPanels(tiles, bands);
    } else if (kernel == MatmulKernel::kFlat) {
      RunMixedTiles(tiles);
    } else {
      for (int64_t m = 0; m < x.rows; ++m) RunMixedTile<1, 0>(tiles, m);
    }
  }
}

// panel [column][16], of the band's columns and the part's rows.
HWY_INLINE void ExpandBand(const BandOfWeights& w, float* panel) {
  const Floats scale = Mul(w.scale, Repeat(w.unit));  // exact: 5 bits times 11
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const Ints codes = w.codes[j], low = Repeat32(255);
    const Ints each[4] = {And(codes, low), And(ShiftRight<8>(codes), low), And(ShiftRight<16>(codes), low),
                          ShiftRight<24>(codes)};
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c)
      StoreFloats(panel + (4 * j + c) * kRowGroup, Mul(ToFloats(Sub32(each[c], w.zero)), scale));
  }
}

void MixedFloat(const MixedLayout& layout, const MatmulTask& task) {
  const MixedPlaces places(layout);
  // Where each band stands among all, the 2-bit ones first.
  std::vector<int64_t> place(static_cast<size_t>(layout.columns / kBandColumns));
  for (size_t i = 0; i < layout.two.size(); ++i) place[layout.two[i]] = static_cast<int64_t>(i);
  for (size_t i = 0; i < layout.four.size(); ++i)
    place[layout.four[i]] = static_cast<int64_t>(layout.two.size() + i);
  MultiplyFloat(task, [&](const std::byte* group, int64_t first, int64_t columns, float* scratch) HWY_ATTR {
    const MixedGroup parts = places.At(group);
    for (int64_t column = 0; column < columns; column += kBandColumns) {
      const int64_t band = place[static_cast<size_t>((first + column) / kBandColumns)];
      for (int part = 0; part < kParts; ++part)
        ExpandBand(AnyBand(places, parts, band, part), scratch + column * kRowGroup + kLanes * part);
    }
    for (int64_t k = 0; k < layout.outliers; ++k) {
      for (int row = 0; row < kRowGroup; ++row) {
        const MixedOutlier outlier = ReadOutlier(layout, row, k, group);
        const int64_t column = outlier.column - first;
        if (column >= 0 && column < columns) scratch[column * kRowGroup + row] += outlier.value;
      }
    }
    return static_cast<const float*>(scratch);
  });
}

#else  // the scalar target

void AddBandInScalar(const Int8Block& x, int half, const std::array<uint8_t, kBandColumns>& codes, int zero,
                     float scale, float unit, float& sum) {
  int dot = -zero * x.sum(half);
  for (int i = 0; i < kBandColumns; ++i) dot += codes[i] * x.Value(kBandColumns * half + i);
  sum = std::fma(static_cast<float>(dot), scale * (unit * x.scale()), sum);
}

void MixedInt8(const MixedLayout& layout, const MatmulTask& task) {
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
  TwoBitTile two;
  FourBitTile four;
  for (int64_t row = row_begin; row < row_end; row += kRowGroup) {
    const std::byte* group = w.data + row / kRowGroup * w.format->GroupBytes(w.columns);
    const int valid = static_cast<int>(std::min(kRowGroup, row_end - row));
    for (int64_t m = 0; m < x.rows; ++m) {
      float* sums = y.row(m) + row;
      std::fill(sums, sums + valid, 0.0f);
      for (size_t i = 0; i < layout.two.size(); ++i) {
        ReadTile(layout, static_cast<int64_t>(i), group, two);
        const int band = layout.two[i];
        const Int8Block block = FindInt8Block(x.data, x.rows, x.columns, m, band / 2);
        for (int r = 0; r < valid; ++r) {
          AddBandInScalar(block, band % 2, two.code[r], two.zero[r],
                          static_cast<float>(two.scale[r] + two.offset), two.unit, sums[r]);
        }
      }
      for (size_t i = 0; i < layout.four.size(); ++i) {
        ReadTile(layout, static_cast<int64_t>(i), group, four);
        const int band = layout.four[i];
        const Int8Block block = FindInt8Block(x.data, x.rows, x.columns, m, band / 2);
        for (int r = 0; r < valid; ++r)
          AddBandInScalar(block, band % 2, four.code[r], four.zero[r], four.scale[r], 1.0f, sums[r]);
      }
      for (int r = 0; r < valid; ++r) {
        for (int64_t k = 0; k < layout.outliers; ++k) {
          const MixedOutlier outlier = ReadOutlier(layout, r, k, group);
          const Int8Block block = FindInt8Block(x.data, x.rows, x.columns, m, outlier.column / 32);
          const float value = static_cast<float>(block.Value(outlier.column % 32)) * block.scale();
          sums[r] = std::fma(outlier.value, value, sums[r]);
        }
      }
    }
  }
}

void MixedFloat(const MixedLayout& layout, const MatmulTask& task) {
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
  std::vector<float> values(static_cast<size_t>(layout.columns));
  const auto* activations = reinterpret_cast<const float*>(x.data);
  for (int64_t row = row_begin; row < row_end; ++row) {
    w.format->ReadRow(w, row, values);
    for (int64_t m = 0; m < x.rows; ++m) {
      float sum = 0.0f;
      for (int64_t k = 0; k < x.columns; ++k)
        sum = std::fma(values[static_cast<size_t>(k)], activations[m * x.columns + k], sum);
      y.row(m)[row] = sum;
    }
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(MixedInt8);
HWY_EXPORT(MixedFloat);

namespace {

class MixedFormat final : public WeightFormat {
 public:
  explicit MixedFormat(MixedLayout layout) : layout_(std::move(layout)) {}
  DType source() const override { return DType::kMixed2; }
  ActivationForm form(NumericMode mode) const override {
    return mode == NumericMode::kFast ? ActivationForm::kInt8 : ActivationForm::kFloat;
  }
  int64_t GroupBytes(int64_t) const override { return (layout_.bytes() + 63) / 64 * 64; }
  void PackGroup(const std::byte* file_rows, int64_t, int64_t, std::byte* group) const override {
    std::memcpy(group, file_rows, static_cast<size_t>(layout_.bytes()));
    std::memset(group + layout_.bytes(), 0,
                static_cast<size_t>(GroupBytes(layout_.columns) - layout_.bytes()));
  }
  void Multiply(const MatmulTask& task) const override {
    EnsureCpuTarget();
    if (task.x.form == ActivationForm::kInt8) {
      HWY_DYNAMIC_DISPATCH(MixedInt8)(layout_, task);
    } else {
      HWY_DYNAMIC_DISPATCH(MixedFloat)(layout_, task);
    }
  }
  void ReadRow(const PackedMatrix& w, int64_t row, std::span<float> values) const override {
    const std::byte* group = w.data + row / kRowGroup * GroupBytes(w.columns);
    const auto r = static_cast<size_t>(row % kRowGroup);
    const auto put = [&](int band, const std::array<uint8_t, kBandColumns>& codes, int zero, float scale) {
      for (int i = 0; i < kBandColumns; ++i)
        values[static_cast<size_t>(kBandColumns * band + i)] = static_cast<float>(codes[i] - zero) * scale;
    };
    TwoBitTile two;
    for (size_t i = 0; i < layout_.two.size(); ++i) {
      ReadTile(layout_, static_cast<int64_t>(i), group, two);
      put(layout_.two[i], two.code[r], two.zero[r], two.unit * static_cast<float>(two.scale[r] + two.offset));
    }
    FourBitTile four;
    for (size_t i = 0; i < layout_.four.size(); ++i) {
      ReadTile(layout_, static_cast<int64_t>(i), group, four);
      put(layout_.four[i], four.code[r], four.zero[r], four.scale[r]);
    }
    for (int64_t k = 0; k < layout_.outliers; ++k) {
      const MixedOutlier outlier = ReadOutlier(layout_, static_cast<int>(r), k, group);
      values[outlier.column] += outlier.value;
    }
  }

 private:
  MixedLayout layout_;
};

}  // namespace

std::unique_ptr<WeightFormat> MakeMixedFormat(MixedLayout layout) {
  return std::make_unique<MixedFormat>(std::move(layout));
}

}  // namespace hone
#endif  // HWY_ONCE
