// The bands of a mixed matrix (see mixed_matrix.h) restored to codes, zeros and scales, and a tile of
// activations multiplied with them and with the outliers.
#if defined(HONE_CORE_KERNELS_CPU_MIXED_BANDS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_MIXED_BANDS_INL_H_
#undef HONE_CORE_KERNELS_CPU_MIXED_BANDS_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_MIXED_BANDS_INL_H_
#endif

#include "core/kernels/cpu/int8_matmul-inl.h"
#include "core/kernels/mixed_matrix.h"

#if HONE_LANES
HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

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

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();
#endif  // HONE_LANES
#endif
