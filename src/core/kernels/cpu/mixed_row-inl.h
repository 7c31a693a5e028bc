// One row of activations with a mixed matrix: what three bands look up is ordered before, once for all
// groups of weight rows.
#if defined(HONE_CORE_KERNELS_CPU_MIXED_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_MIXED_ROW_INL_H_
#undef HONE_CORE_KERNELS_CPU_MIXED_ROW_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_MIXED_ROW_INL_H_
#endif

#include "core/kernels/cpu/mixed_bands-inl.h"

#if HONE_LANES
HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

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

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();
#endif  // HONE_LANES
#endif
