// The few vector operations that the matmul kernels are written in, under the same names for AVX-512 with
// VNNI (16 lanes), AVX2 (8) and NEON (4). A 32-bit lane is a weight row; kParts vectors make up the 16 rows
// of a group.
//
// Products of 8 bits: AVX-512 and NEON have ByteDot, which adds four of them to a 32-bit lane; AVX2 has
// MulPairs8, which adds two in 16 bits. AVX-512 multiplies unsigned codes (kUnsignedCodes), the others take
// signed ones where codes may be negative.
#if defined(HONE_CORE_KERNELS_CPU_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_LANES_INL_H_
#undef HONE_CORE_KERNELS_CPU_LANES_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_LANES_INL_H_
#endif

#include <hwy/highway.h>

#undef HONE_LANES
#undef HONE_X86_LANES
#undef HONE_BYTE_DOT
#define HONE_X86_LANES (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3)
#define HONE_LANES (HONE_X86_LANES || HWY_TARGET == HWY_NEON)
#define HONE_BYTE_DOT (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON)

// Opens the target's code; byte products of AVX-512 need VNNI, which Highway's AVX3 does not ask for.
// HWY_AFTER_NAMESPACE closes it.
#undef HONE_BEFORE_KERNELS
#if HWY_TARGET == HWY_AVX3
#define HONE_BEFORE_KERNELS() \
  HWY_BEFORE_NAMESPACE();     \
  HWY_PRAGMA(GCC target("avx512vnni")) static_assert(true, "")
#else
#define HONE_BEFORE_KERNELS() HWY_BEFORE_NAMESPACE()
#endif

#if HONE_LANES
#if HONE_X86_LANES
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

constexpr int kLanes = 16;
constexpr bool kUnsignedCodes = true;
using Ints = __m512i;
using Floats = __m512;

HWY_INLINE Ints LoadInts(const void* at) { return _mm512_loadu_si512(at); }
HWY_INLINE void StoreInts(void* at, Ints v) { _mm512_storeu_si512(at, v); }
HWY_INLINE Floats LoadFloats(const void* at) { return _mm512_loadu_ps(at); }
HWY_INLINE void StoreFloats(void* at, Floats v) { _mm512_storeu_ps(at, v); }
HWY_INLINE Ints Repeat8(int v) { return _mm512_set1_epi8(static_cast<char>(v)); }
HWY_INLINE Ints Repeat16(int v) { return _mm512_set1_epi16(static_cast<short>(v)); }
HWY_INLINE Ints Repeat32(int v) { return _mm512_set1_epi32(v); }
HWY_INLINE Ints RepeatInt(const void* at) {
  int v;
  __builtin_memcpy(&v, at, 4);
  return _mm512_set1_epi32(v);
}
HWY_INLINE Floats RepeatFloat(const void* at) { return _mm512_castsi512_ps(RepeatInt(at)); }
HWY_INLINE Floats Repeat(float v) { return _mm512_set1_ps(v); }
HWY_INLINE Ints And(Ints a, Ints b) { return _mm512_and_si512(a, b); }
HWY_INLINE Ints Or(Ints a, Ints b) { return _mm512_or_si512(a, b); }
HWY_INLINE Ints Xor(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
template <int n>
HWY_INLINE Ints ShiftRight(Ints v) {
  return _mm512_srli_epi32(v, n);
}
template <int n>
HWY_INLINE Ints ShiftRightSigned(Ints v) {
  return _mm512_srai_epi32(v, n);
}
template <int n>
HWY_INLINE Ints ShiftLeft(Ints v) {
  return _mm512_slli_epi32(v, n);
}
HWY_INLINE Ints ShiftRightBy(Ints v, int n) { return _mm512_srl_epi32(v, _mm_cvtsi32_si128(n)); }
HWY_INLINE Ints ShiftLeftBy(Ints v, int n) { return _mm512_sll_epi32(v, _mm_cvtsi32_si128(n)); }
HWY_INLINE Ints Add32(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
HWY_INLINE Ints Sub32(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
HWY_INLINE Ints Mul32(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }
HWY_INLINE Ints Sub16(Ints a, Ints b) { return _mm512_sub_epi16(a, b); }
HWY_INLINE Ints MulPairs16(Ints a, Ints b) { return _mm512_madd_epi16(a, b); }
HWY_INLINE Ints Shuffle8(Ints table, Ints index) { return _mm512_shuffle_epi8(table, index); }
HWY_INLINE Ints Repeat128(const void* at) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}
HWY_INLINE Ints ByteDot(Ints sum, Ints unsigned_bytes, Ints signed_bytes) {
  return _mm512_dpbusd_epi32(sum, unsigned_bytes, signed_bytes);
}
HWY_INLINE Floats ToFloats(Ints v) { return _mm512_cvtepi32_ps(v); }
HWY_INLINE Floats HalvesToFloats(const void* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(at)));
}
HWY_INLINE Ints WordsToInts(const void* at) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(at)));
}
HWY_INLINE Ints SignedBytesToWords(const void* at) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(at)));
}
HWY_INLINE Ints BytesToWords(const void* at) {
  return _mm512_cvtepu8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(at)));
}
HWY_INLINE Floats Mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
HWY_INLINE Floats Negate(Floats a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
HWY_INLINE Floats MulAdd(Floats a, Floats b, Floats sum) { return _mm512_fmadd_ps(a, b, sum); }
HWY_INLINE Floats AsFloats(Ints v) { return _mm512_castsi512_ps(v); }

#elif HWY_TARGET == HWY_AVX2

constexpr int kLanes = 8;
constexpr bool kUnsignedCodes = false;
using Ints = __m256i;
using Floats = __m256;

HWY_INLINE Ints LoadInts(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
HWY_INLINE void StoreInts(void* at, Ints v) { _mm256_storeu_si256(static_cast<__m256i*>(at), v); }
HWY_INLINE Floats LoadFloats(const void* at) { return _mm256_loadu_ps(static_cast<const float*>(at)); }
HWY_INLINE void StoreFloats(void* at, Floats v) { _mm256_storeu_ps(static_cast<float*>(at), v); }
HWY_INLINE Ints Repeat8(int v) { return _mm256_set1_epi8(static_cast<char>(v)); }
HWY_INLINE Ints Repeat16(int v) { return _mm256_set1_epi16(static_cast<short>(v)); }
HWY_INLINE Ints Repeat32(int v) { return _mm256_set1_epi32(v); }
HWY_INLINE Ints RepeatInt(const void* at) {
  int v;
  __builtin_memcpy(&v, at, 4);
  return _mm256_set1_epi32(v);
}
HWY_INLINE Floats RepeatFloat(const void* at) { return _mm256_castsi256_ps(RepeatInt(at)); }
HWY_INLINE Floats Repeat(float v) { return _mm256_set1_ps(v); }
HWY_INLINE Ints And(Ints a, Ints b) { return _mm256_and_si256(a, b); }
HWY_INLINE Ints Or(Ints a, Ints b) { return _mm256_or_si256(a, b); }
HWY_INLINE Ints Xor(Ints a, Ints b) { return _mm256_xor_si256(a, b); }
template <int n>
HWY_INLINE Ints ShiftRight(Ints v) {
  return _mm256_srli_epi32(v, n);
}
template <int n>
HWY_INLINE Ints ShiftRightSigned(Ints v) {
  return _mm256_srai_epi32(v, n);
}
template <int n>
HWY_INLINE Ints ShiftLeft(Ints v) {
  return _mm256_slli_epi32(v, n);
}
HWY_INLINE Ints ShiftRightBy(Ints v, int n) { return _mm256_srl_epi32(v, _mm_cvtsi32_si128(n)); }
HWY_INLINE Ints ShiftLeftBy(Ints v, int n) { return _mm256_sll_epi32(v, _mm_cvtsi32_si128(n)); }
HWY_INLINE Ints Add16(Ints a, Ints b) { return _mm256_add_epi16(a, b); }
HWY_INLINE Ints Add32(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
HWY_INLINE Ints Sub32(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
HWY_INLINE Ints Mul32(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
HWY_INLINE Ints Sub16(Ints a, Ints b) { return _mm256_sub_epi16(a, b); }
HWY_INLINE Ints MulPairs8(Ints unsigned_bytes, Ints signed_bytes) {
  return _mm256_maddubs_epi16(unsigned_bytes, signed_bytes);
}
HWY_INLINE Ints MulPairs16(Ints a, Ints b) { return _mm256_madd_epi16(a, b); }
HWY_INLINE Ints Magnitude8(Ints v) { return _mm256_abs_epi8(v); }
HWY_INLINE Ints TakeSign8(Ints v, Ints sign) { return _mm256_sign_epi8(v, sign); }
HWY_INLINE Ints Shuffle8(Ints table, Ints index) { return _mm256_shuffle_epi8(table, index); }
HWY_INLINE Ints Repeat128(const void* at) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}
HWY_INLINE Floats ToFloats(Ints v) { return _mm256_cvtepi32_ps(v); }
HWY_INLINE Floats HalvesToFloats(const void* at) {
  return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}
HWY_INLINE Ints WordsToInts(const void* at) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}
HWY_INLINE Ints SignedBytesToWords(const void* at) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}
HWY_INLINE Ints BytesToWords(const void* at) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}
HWY_INLINE Floats Mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
HWY_INLINE Floats Negate(Floats a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
HWY_INLINE Floats MulAdd(Floats a, Floats b, Floats sum) { return _mm256_fmadd_ps(a, b, sum); }
HWY_INLINE Floats AsFloats(Ints v) { return _mm256_castsi256_ps(v); }

#else  // NEON

constexpr int kLanes = 4;
constexpr bool kUnsignedCodes = false;
using Ints = int32x4_t;
using Floats = float32x4_t;

HWY_INLINE int8x16_t As8(Ints v) { return vreinterpretq_s8_s32(v); }
HWY_INLINE int16x8_t As16(Ints v) { return vreinterpretq_s16_s32(v); }
HWY_INLINE uint32x4_t AsUnsigned(Ints v) { return vreinterpretq_u32_s32(v); }
HWY_INLINE Ints AsInts(int8x16_t v) { return vreinterpretq_s32_s8(v); }
HWY_INLINE Ints AsInts(int16x8_t v) { return vreinterpretq_s32_s16(v); }
HWY_INLINE Ints AsInts(uint8x16_t v) { return vreinterpretq_s32_u8(v); }
HWY_INLINE Ints AsInts(uint32x4_t v) { return vreinterpretq_s32_u32(v); }

HWY_INLINE Ints LoadInts(const void* at) { return AsInts(vld1q_u8(static_cast<const uint8_t*>(at))); }
HWY_INLINE void StoreInts(void* at, Ints v) { vst1q_s8(static_cast<int8_t*>(at), As8(v)); }
HWY_INLINE Floats LoadFloats(const void* at) { return vreinterpretq_f32_s32(LoadInts(at)); }
HWY_INLINE void StoreFloats(void* at, Floats v) { StoreInts(at, vreinterpretq_s32_f32(v)); }
HWY_INLINE Ints Repeat8(int v) { return AsInts(vdupq_n_s8(static_cast<int8_t>(v))); }
HWY_INLINE Ints Repeat16(int v) { return AsInts(vdupq_n_s16(static_cast<int16_t>(v))); }
HWY_INLINE Ints Repeat32(int v) { return vdupq_n_s32(v); }
HWY_INLINE Ints RepeatInt(const void* at) {
  int v;
  __builtin_memcpy(&v, at, 4);
  return vdupq_n_s32(v);
}
HWY_INLINE Floats RepeatFloat(const void* at) { return vreinterpretq_f32_s32(RepeatInt(at)); }
HWY_INLINE Floats Repeat(float v) { return vdupq_n_f32(v); }
HWY_INLINE Ints And(Ints a, Ints b) { return vandq_s32(a, b); }
HWY_INLINE Ints Or(Ints a, Ints b) { return vorrq_s32(a, b); }
HWY_INLINE Ints Xor(Ints a, Ints b) { return veorq_s32(a, b); }
template <int n>
HWY_INLINE Ints ShiftRight(Ints v) {
  return AsInts(vshrq_n_u32(AsUnsigned(v), n));
}
template <int n>
HWY_INLINE Ints ShiftRightSigned(Ints v) {
  return vshrq_n_s32(v, n);
}
template <int n>
HWY_INLINE Ints ShiftLeft(Ints v) {
  return vshlq_n_s32(v, n);
}
HWY_INLINE Ints ShiftRightBy(Ints v, int n) { return AsInts(vshlq_u32(AsUnsigned(v), vdupq_n_s32(-n))); }
HWY_INLINE Ints ShiftLeftBy(Ints v, int n) { return vshlq_s32(v, vdupq_n_s32(n)); }
HWY_INLINE Ints Add32(Ints a, Ints b) { return vaddq_s32(a, b); }
HWY_INLINE Ints Sub32(Ints a, Ints b) { return vsubq_s32(a, b); }
HWY_INLINE Ints Mul32(Ints a, Ints b) { return vmulq_s32(a, b); }
HWY_INLINE Ints Sub16(Ints a, Ints b) { return AsInts(vsubq_s16(As16(a), As16(b))); }
HWY_INLINE Ints MulPairs16(Ints a, Ints b) {
  const int16x8_t x = As16(a), y = As16(b);
  return vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
}
HWY_INLINE Ints Shuffle8(Ints table, Ints index) {
  return AsInts(vqtbl1q_u8(vreinterpretq_u8_s32(table), vreinterpretq_u8_s32(index)));
}
HWY_INLINE Ints Repeat128(const void* at) { return LoadInts(at); }
// Every Arm processor of 64 bits can do this; those with SDOT could do it in one instruction.
HWY_INLINE Ints ByteDot(Ints sum, Ints a, Ints b) {
  const int8x16_t x = As8(a), y = As8(b);
  const int32x4_t front = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)));
  return vaddq_s32(sum, vpaddq_s32(front, vpaddlq_s16(vmull_high_s8(x, y))));
}
HWY_INLINE Floats ToFloats(Ints v) { return vcvtq_f32_s32(v); }
HWY_INLINE Floats HalvesToFloats(const void* at) {
  return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(static_cast<const uint8_t*>(at))));
}
HWY_INLINE Ints WordsToInts(const void* at) {
  return AsInts(vmovl_u16(vreinterpret_u16_u8(vld1_u8(static_cast<const uint8_t*>(at)))));
}
HWY_INLINE Ints SignedBytesToWords(const void* at) {
  return AsInts(vmovl_s8(vld1_s8(static_cast<const int8_t*>(at))));
}
HWY_INLINE Ints BytesToWords(const void* at) {
  return vreinterpretq_s32_u16(vmovl_u8(vld1_u8(static_cast<const uint8_t*>(at))));
}
HWY_INLINE Floats Mul(Floats a, Floats b) { return vmulq_f32(a, b); }
HWY_INLINE Floats Negate(Floats a) { return vnegq_f32(a); }
HWY_INLINE Floats MulAdd(Floats a, Floats b, Floats sum) { return vfmaq_f32(sum, a, b); }
HWY_INLINE Floats AsFloats(Ints v) { return vreinterpretq_f32_s32(v); }

#endif

constexpr int kParts = 16 / kLanes;

// Pairs of 16-bit numbers: the low (high) one twice, and each as a 32-bit number.
HWY_INLINE Ints LowTwice(Ints pairs) {
  return Or(ShiftRight<16>(ShiftLeft<16>(pairs)), ShiftLeft<16>(pairs));
}
HWY_INLINE Ints HighTwice(Ints pairs) {
  return Or(ShiftRight<16>(pairs), ShiftLeft<16>(ShiftRight<16>(pairs)));
}
HWY_INLINE Ints LowOf(Ints pairs) { return ShiftRightSigned<16>(ShiftLeft<16>(pairs)); }
HWY_INLINE Ints HighOf(Ints pairs) { return ShiftRightSigned<16>(pairs); }

// Keeps a sum in its register and its additions in the written order: compilers regroup integer sums into
// trees, which need more registers than there are.
HWY_INLINE void Pin(Ints& v) {
#if HWY_TARGET == HWY_AVX3
  asm("" : "+v"(v));
#elif HWY_TARGET == HWY_AVX2
  asm("" : "+x"(v));
#else
  asm("" : "+w"(v));
#endif
}

// Asks for the cache lines that a stream of weights needs next: without it one core stops at two thirds of
// what it can read. `bytes` is what one step consumes.
template <int bytes>
HWY_INLINE void PrefetchAhead(const std::byte* at) {
  constexpr int kDistance = 2048;
#pragma GCC unroll 16
  for (int i = 0; i < bytes; i += 64) __builtin_prefetch(at + kDistance + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif  // HONE_LANES
#endif
