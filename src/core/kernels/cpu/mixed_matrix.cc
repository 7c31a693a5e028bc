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

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES

HWY_INLINE Ints ShiftRightEach(Ints v, Ints counts) {
#if HWY_TARGET == HWY_AVX3
  return _mm512_srlv_epi32(v, counts);
#elif HWY_TARGET == HWY_AVX2
  return _mm256_srlv_epi32(v, counts);
#else
  return AsInts(vshlq_u32(AsUnsigned(v), vnegq_s32(counts)));
#endif
}

// A float16 number, as F16ToF32 reads it.
HWY_INLINE float HalfToFloat(const std::byte* at) {
#if HONE_X86_LANES
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(LoadAs<uint16_t>(at))));
#else
  return F16ToF32(LoadAs<uint16_t>(at));
#endif
}

// Where the parts of a group lie, from some rows of it on.
struct MixedGroup {
  const std::byte* twos;
  const std::byte* words;
  const std::byte* units;
  const std::byte* fours;
  const std::byte* scales;
  const std::byte* zeros;
  const std::byte* outliers;
};

// The same for all groups, and the bands as plain arrays.
struct MixedPlaces {
  explicit MixedPlaces(const MixedLayout& layout)
      : words(layout.words()),
        units(layout.units()),
        fours(layout.fours()),
        scales(layout.scales()),
        zeros(layout.zeros()),
        outlier_columns(layout.outlier_columns()),
        threes(static_cast<int64_t>(layout.two.size()) / 3),
        four_bands(static_cast<int64_t>(layout.four.size())),
        outliers(layout.outliers),
        two(layout.two.data()),
        four(layout.four.data()) {}
  HWY_INLINE MixedGroup At(const std::byte* group) const {
    return {group,          group + words, group + units,          group + fours,
            group + scales, group + zeros, group + outlier_columns};
  }

  int64_t words, units, fours, scales, zeros, outlier_columns;
  int64_t threes, four_bands, outliers;
  const uint16_t* two;
  const uint16_t* four;
};

// Some rows of one band in registers: sum += float(codes x - zero sum(x)) (scale (unit scale_x)).
struct BandOfWeights {
  Ints codes[4];  // piece j: the columns 4j .. 4j+3
  Ints zero;
  Floats scale;  // c + o, or s of 4 bits
  float unit;    // u, or 1
};

// Band i of the three-th three; `words` are theirs.
template <int i>
HWY_INLINE BandOfWeights TwoBitBand(const MixedGroup& group, int64_t three, int part, Ints words) {
  constexpr int kPairShift[3] = {0, 2, 4}, kCodeShift[3] = {6, 9, 12}, kCodeMask[3] = {7, 7, 15};
  BandOfWeights w;
  const Ints pairs = LoadInts(group.twos + 64 * (3 * three + i) + 4 * kLanes * part);
  const Ints low = Repeat8(3);
  w.codes[0] = And(pairs, low);
  w.codes[1] = And(ShiftRight<2>(pairs), low);
  w.codes[2] = And(ShiftRight<4>(pairs), low);
  w.codes[3] = And(ShiftRight<6>(pairs), low);
  const std::byte* unit = group.units + 8 * three;
  w.zero = And(ShiftRight<kPairShift[i]>(words), Repeat32(3));
  const Ints factor = Add32(And(ShiftRight<kCodeShift[i]>(words), Repeat32(kCodeMask[i])),
                            Repeat32(LoadAs<uint16_t>(unit) >> (4 * i) & 15));
  w.scale = ToFloats(factor);
  w.unit = HalfToFloat(unit + 2 + 2 * i);
  return w;
}
HWY_INLINE Ints WordsOf(const MixedGroup& group, int64_t three, int part) {
  return WordsToInts(group.words + 32 * three + 2 * kLanes * part);
}

HWY_INLINE BandOfWeights FourBitBand(const MixedGroup& group, int64_t i, int part) {
  alignas(64) static constexpr int32_t kShifts[16] = {0, 4, 8, 12, 16, 20, 24, 28,
                                                      0, 4, 8, 12, 16, 20, 24, 28};
  BandOfWeights w;
  const std::byte* codes = group.fours + 128 * i + 4 * kLanes * part;
  const Ints front = LoadInts(codes), back = LoadInts(codes + 64), low = Repeat8(15);
  w.codes[0] = And(front, low);
  w.codes[1] = And(back, low);
  w.codes[2] = And(ShiftRight<4>(front), low);
  w.codes[3] = And(ShiftRight<4>(back), low);
  // Lanes of the rows 0 .. 7 take the first four bytes, those of 8 .. 15 the others.
  const std::byte* zeros = group.zeros + 8 * i;
#if HWY_TARGET == HWY_AVX3
  const Ints words =
      _mm512_inserti64x4(Repeat32(LoadAs<int32_t>(zeros)), _mm256_set1_epi32(LoadAs<int32_t>(zeros + 4)), 1);
#else
  const Ints words = Repeat32(LoadAs<int32_t>(zeros + kLanes * part / 8 * 4));
#endif
  w.zero = And(ShiftRightEach(words, LoadInts(kShifts + kLanes * part % 8)), Repeat32(15));
  w.scale = HalvesToFloats(group.scales + 32 * i + 2 * kLanes * part);
  w.unit = 1.0f;
  return w;
}

// Band `i` among all of a matrix, the 2-bit ones first.
HWY_INLINE BandOfWeights AnyBand(const MixedPlaces& places, const MixedGroup& group, int64_t i, int part) {
  const int64_t three = i / 3;
  if (three >= places.threes) return FourBitBand(group, i - 3 * places.threes, part);
  const Ints words = WordsOf(group, three, part);
  switch (i % 3) {
    case 0:
      return TwoBitBand<0>(group, three, part, words);
    case 1:
      return TwoBitBand<1>(group, three, part, words);
    default:
      return TwoBitBand<2>(group, three, part, words);
  }
}

// Some rows of activations that lie in one group of rows (see ActivationForm).
struct MixedActivations {
  const std::byte* data;  // of the first row
  int64_t group_rows;
};
HWY_INLINE MixedActivations ActivationsAt(const Activations& x, int64_t row, int64_t fixed_group_rows) {
  const int64_t start = row / kActivationGroup * kActivationGroup;
  return {x.data + start * (x.columns / 32) * kInt8BlockBytes + 4 * (row - start),
          fixed_group_rows > 0 ? fixed_group_rows : std::min(kActivationGroup, x.rows - start)};
}

template <int rows>
HWY_INLINE void AddBand(const BandOfWeights& w, const MixedActivations& x, int64_t band, Floats* sum) {
  const int64_t step = 4 * x.group_rows;
  const std::byte* block = x.data + band / 2 * x.group_rows * kInt8BlockBytes;
  const std::byte* pieces = block + band % 2 * 4 * step;
  const std::byte* sums = block + 10 * step + band % 2 * 2;
#pragma GCC unroll 8
  for (int m = 0; m < rows; ++m) {
    const auto piece = [&](int j) HWY_ATTR { return RepeatInt(pieces + j * step + 4 * m); };
#if HONE_BYTE_DOT
    Ints dot = Repeat32(0);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) dot = ByteDot(dot, w.codes[j], piece(j));
#else
    Ints words = MulPairs8(w.codes[0], piece(0));
#pragma GCC unroll 4
    for (int j = 1; j < 4; ++j) words = Add16(words, MulPairs8(w.codes[j], piece(j)));
    Ints dot = MulPairs16(words, Repeat16(1));
#endif
    // |sum(x)| < 2^11, and the high halves of zero are 0.
    dot = Sub32(dot, MulPairs16(w.zero, Repeat16(LoadAs<int16_t>(sums + 4 * m))));
    const Floats scale_x = Mul(Repeat(w.unit), RepeatFloat(block + 8 * step + 4 * m));
    sum[m] = MulAdd(ToFloats(dot), Mul(w.scale, scale_x), sum[m]);
  }
}

template <int rows>
HWY_INLINE void AddFourBits(const MixedPlaces& places, const MixedGroup& group, const MixedActivations& x,
                            Floats (&sum)[kParts][rows]) {
  for (int64_t i = 0; i < places.four_bands; ++i) {
    PrefetchAhead<128>(group.fours + 128 * i);
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part)
      AddBand<rows>(FourBitBand(group, i, part), x, places.four[i], sum[part]);
  }
}

HWY_INLINE Ints GatherInts(const std::byte* base, Ints offsets) {
#if HWY_TARGET == HWY_AVX3
  return _mm512_i32gather_epi32(offsets, base, 1);
#elif HWY_TARGET == HWY_AVX2
  return _mm256_i32gather_epi32(reinterpret_cast<const int*>(base), offsets, 1);
#else
  int32_t at[kLanes], values[kLanes];
  StoreInts(at, offsets);
  for (int i = 0; i < kLanes; ++i) values[i] = LoadAs<int32_t>(base + at[i]);
  return LoadInts(values);
#endif
}

// sum += value x for the outliers of each row.
template <int rows>
HWY_INLINE void AddOutliers(const MixedPlaces& places, const MixedGroup& group, const MixedActivations& x,
                            Floats (&sum)[kParts][rows]) {
  const int group_rows = static_cast<int>(x.group_rows);
  for (int64_t k = 0; k < places.outliers; ++k) {
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) {
      const std::byte* at = group.outliers + 64 * k + 2 * kLanes * part;
      const Ints column = WordsToInts(at);
      const Floats value = HalvesToFloats(at + 32);
      const Ints block =
          Mul32(ShiftRight<5>(column), Repeat32(static_cast<int>(kInt8BlockBytes) * group_rows));
      const Ints piece = Mul32(And(ShiftRight<2>(column), Repeat32(7)), Repeat32(4 * group_rows));
      const Ints byte = Add32(Add32(block, piece), And(column, Repeat32(3)));
      const Ints scale = Add32(block, Repeat32(32 * group_rows));
#pragma GCC unroll 8
      for (int m = 0; m < rows; ++m) {
        const Ints q = ShiftRightSigned<24>(ShiftLeft<24>(GatherInts(x.data + 4 * m, byte)));
        const Floats scale_x = AsFloats(GatherInts(x.data + 4 * m, scale));
        sum[part][m] = MulAdd(value, Mul(ToFloats(q), scale_x), sum[part][m]);
      }
    }
  }
}

// What tiles of activations work on: a group of 16 weight rows.
struct MixedTiles {
  const MixedPlaces* places;
  MixedGroup group;
  const Activations* x;
  int64_t valid;  // weight rows that exist
  float* y;       // of the first weight row
  int64_t stride;
};

// `fixed_group_rows` is the number of rows in the activations' group where it is known, else 0.
template <int rows, int fixed_group_rows>
HWY_INLINE void RunMixedTile(const MixedTiles& t, int64_t row) {
  const MixedPlaces& places = *t.places;
  const MixedActivations x = ActivationsAt(*t.x, row, fixed_group_rows);
  Floats sum[kParts][rows];
#pragma GCC unroll 4
  for (int part = 0; part < kParts; ++part) {
#pragma GCC unroll 8
    for (int m = 0; m < rows; ++m) sum[part][m] = Repeat(0.0f);
  }
  for (int64_t three = 0; three < places.threes; ++three) {
    const uint16_t* bands = places.two + 3 * three;
    PrefetchAhead<192>(t.group.twos + 192 * three);
    Ints words[kParts];
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) words[part] = WordsOf(t.group, three, part);
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part)
      AddBand<rows>(TwoBitBand<0>(t.group, three, part, words[part]), x, bands[0], sum[part]);
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part)
      AddBand<rows>(TwoBitBand<1>(t.group, three, part, words[part]), x, bands[1], sum[part]);
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part)
      AddBand<rows>(TwoBitBand<2>(t.group, three, part, words[part]), x, bands[2], sum[part]);
  }
  AddFourBits(places, t.group, x, sum);
  AddOutliers(places, t.group, x, sum);
  StoreTile(sum, t.valid, t.y + row * t.stride, t.stride);
}

#if HONE_X86_LANES

// One row of activations in the order of the bands, with what three bands want to look up.
struct ThreeBandsOfRow {
  int8_t pieces[3][kBandColumns];
  int32_t zeros[3][4];  // 0, 1, 2 and 3 times sum(x)
  float scales[4];      // of the three bands from 1 on
};

std::vector<ThreeBandsOfRow> OrderRow(const MixedPlaces& places, const Activations& x) {
  std::vector<ThreeBandsOfRow> ordered(static_cast<size_t>(places.threes));
  for (int64_t band = 0; band < 3 * places.threes; ++band) {
    ThreeBandsOfRow& to = ordered[static_cast<size_t>(band / 3)];
    const int64_t from = places.two[band];
    const std::byte* block = x.data + from / 2 * kInt8BlockBytes;
    std::memcpy(to.pieces[band % 3], block + from % 2 * kBandColumns, kBandColumns);
    for (int z = 0; z < 4; ++z) to.zeros[band % 3][z] = z * LoadAs<int16_t>(block + 40 + from % 2 * 2);
    to.scales[1 + band % 3] = LoadAs<float>(block + 32);
  }
  return ordered;
}

// table[index % 4] of four numbers, in each lane.
HWY_INLINE Ints LookUpFour(const int32_t* table, Ints index) {
#if HWY_TARGET == HWY_AVX3
  return _mm512_castps_si512(_mm512_permutevar_ps(AsFloats(Repeat128(table)), index));
#else
  return _mm256_castps_si256(_mm256_permutevar_ps(AsFloats(Repeat128(table)), index));
#endif
}
// table[index % kLanes].
HWY_INLINE Floats LookUp(Floats table, Ints index) {
#if HWY_TARGET == HWY_AVX3
  return _mm512_permutexvar_ps(index, table);
#else
  return _mm256_permutevar8x32_ps(table, index);
#endif
}
// Lane `i` of four numbers, in all lanes.
template <int i>
HWY_INLINE Ints RepeatLane(__m128i four) {
#if HWY_TARGET == HWY_AVX3
  return _mm512_broadcastd_epi32(_mm_shuffle_epi32(four, i * 0x55));
#else
  return _mm256_broadcastd_epi32(_mm_shuffle_epi32(four, i * 0x55));
#endif
}

// Adds band i of a three to the sums of all rows. With one row of activations the zeros' products and the
// scales are looked up: there are 4 and, with 3-bit codes, 8 of them.
template <int i>
HWY_INLINE void AddBandOfRow(const std::byte* codes, const ThreeBandsOfRow& x, const Ints (&words)[kParts],
                             __m128i offsets, __m128 units, Floats (&sum)[kParts]) {
  constexpr int kPairShift[3] = {0, 2, 4}, kCodeShift[3] = {6, 9, 12}, kCodes[3] = {8, 8, 16};
  alignas(64) static constexpr int32_t kNumbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const Ints low = Repeat8(3);
  const Ints piece[4] = {RepeatInt(x.pieces[i]), RepeatInt(x.pieces[i] + 4), RepeatInt(x.pieces[i] + 8),
                         RepeatInt(x.pieces[i] + 12)};
  const Floats unit = AsFloats(RepeatLane<i + 1>(_mm_castps_si128(units)));
  const Ints offset = RepeatLane<i + 1>(offsets);
  const Ints numbers = And(LoadInts(kNumbers), Repeat32(kCodes[i] - 1));
  const Floats table = Mul(ToFloats(Add32(numbers, offset)), unit);
#pragma GCC unroll 2
  for (int part = 0; part < kParts; ++part) {
    const Ints pairs = LoadInts(codes + 64 * i + 4 * kLanes * part);
    const Ints code[4] = {And(pairs, low), And(ShiftRight<2>(pairs), low), And(ShiftRight<4>(pairs), low),
                          And(ShiftRight<6>(pairs), low)};
#if HONE_BYTE_DOT
    Ints dot = Repeat32(0);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) dot = ByteDot(dot, code[j], piece[j]);
#else
    const Ints front = Add16(MulPairs8(code[0], piece[0]), MulPairs8(code[1], piece[1]));
    const Ints back = Add16(MulPairs8(code[2], piece[2]), MulPairs8(code[3], piece[3]));
    Ints dot = MulPairs16(Add16(front, back), Repeat16(1));
#endif
    dot = Sub32(dot, LookUpFour(x.zeros[i], ShiftRight<kPairShift[i]>(words[part])));
    const Ints index = ShiftRight<kCodeShift[i]>(words[part]);
    const Floats scale = kCodes[i] <= kLanes
                             ? LookUp(table, index)
                             : Mul(ToFloats(Add32(And(index, Repeat32(kCodes[i] - 1)), offset)), unit);
    sum[part] = MulAdd(ToFloats(dot), scale, sum[part]);
  }
}

HWY_NOINLINE void RunMixedRow(const MixedTiles& t, std::span<const ThreeBandsOfRow> ordered) {
  const MixedPlaces& places = *t.places;
  const MixedActivations x = ActivationsAt(*t.x, 0, 1);
  Floats sum[kParts][1];
  Floats sums[kParts];
#pragma GCC unroll 2
  for (int part = 0; part < kParts; ++part) sums[part] = Repeat(0.0f);
  for (int64_t three = 0; three < places.threes; ++three) {
    const ThreeBandsOfRow& bands = ordered[static_cast<size_t>(three)];
    const std::byte* codes = t.group.twos + 192 * three;
    PrefetchAhead<192>(codes);
    Ints words[kParts];
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) words[part] = WordsOf(t.group, three, part);
    // o of each band and u scale_x, in the lanes 1, 2, 3.
    const std::byte* unit = t.group.units + 8 * three;
    const __m128i offsets =
        _mm_and_si128(_mm_srlv_epi32(_mm_set1_epi32(LoadAs<uint16_t>(unit)), _mm_setr_epi32(0, 0, 4, 8)),
                      _mm_set1_epi32(15));
    const __m128 units = _mm_mul_ps(_mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(unit))),
                                    _mm_loadu_ps(bands.scales));
    AddBandOfRow<0>(codes, bands, words, offsets, units, sums);
    AddBandOfRow<1>(codes, bands, words, offsets, units, sums);
    AddBandOfRow<2>(codes, bands, words, offsets, units, sums);
  }
#pragma GCC unroll 2
  for (int part = 0; part < kParts; ++part) sum[part][0] = sums[part];
  AddFourBits(places, t.group, x, sum);
  AddOutliers(places, t.group, x, sum);
  StoreTile(sum, t.valid, t.y, t.stride);
}

#else

struct ThreeBandsOfRow {};
std::vector<ThreeBandsOfRow> OrderRow(const MixedPlaces&, const Activations&) { return {}; }
HWY_NOINLINE void RunMixedRow(const MixedTiles& t, std::span<const ThreeBandsOfRow>) {
  RunMixedTile<1, 1>(t, 0);
}

#endif

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
