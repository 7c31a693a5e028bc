// Activations on their way into a product: copied as float32, or quantized to 8 bits by row and block of 32
// columns, with 8 bits more for blocks that hold outliers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/prepare.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "core/kernels/cpu/lanes-inl.h"
#include "core/kernels/cpu/packed_format.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

// What the quantizer of one block needs to know: values are x * inverse rounded to nearest even.
struct BlockScale {
  float scale;
  float inverse;
};

// `largest` has the bits of the largest |x|, as an integer: NaN and infinity compare above every number.
HWY_INLINE BlockScale ChooseScale(uint32_t largest) {
  if (largest >= 0x7F800000u) return {std::bit_cast<float>(0x7FC00000u), 0.0f};
  const float magnitude = std::bit_cast<float>(largest);
  const float inverse = 127.0f / magnitude;
  // Below 2^-120 the inverse would overflow: such a block counts as zero.
  if (!(magnitude > 0x1p-120f)) return {0.0f, 0.0f};
  return {magnitude / 127.0f, inverse};
}

#if HONE_X86_LANES

// The codes of 32 values v, and their scale.
HWY_INLINE BlockScale RoundBlock(const __m256 (&v)[4], __m256i (&q)[4]) {
  const __m256i no_sign = _mm256_set1_epi32(0x7FFFFFFF);
  __m256i top = _mm256_and_si256(_mm256_castps_si256(v[0]), no_sign);
  for (int i = 1; i < 4; ++i)
    top = _mm256_max_epi32(top, _mm256_and_si256(_mm256_castps_si256(v[i]), no_sign));
  __m128i most = _mm_max_epi32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4E));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0xB1));
  const BlockScale chosen = ChooseScale(static_cast<uint32_t>(_mm_cvtsi128_si32(most)));
  const __m256 inverse = _mm256_set1_ps(chosen.inverse);
  for (int i = 0; i < 4; ++i) {
    // Where the inverse is 0 the product may be NaN: the code is 0 there.
    const __m256 product = _mm256_mul_ps(v[i], inverse);
    q[i] = _mm256_cvtps_epi32(_mm256_and_ps(product, _mm256_cmp_ps(product, product, _CMP_ORD_Q)));
  }
  return chosen;
}

HWY_INLINE void LoadBlock(const float* x, __m256 (&v)[4]) {
  for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(x + 8 * i);
}

// Quantizes 32 values into 8 pieces of 4 bytes and sums each half.
HWY_INLINE void QuantizeBlock(const float* x, int64_t rows, std::byte* at, float* scale, float* scaled_sum,
                              int16_t* sums) {
  __m256 v[4];
  __m256i q[4];
  LoadBlock(x, v);
  const BlockScale chosen = RoundBlock(v, q);
  const __m256i first = _mm256_packs_epi32(q[0], q[1]);   // 0-3 8-11 | 4-7 12-15
  const __m256i second = _mm256_packs_epi32(q[2], q[3]);  // 16-19 24-27 | 20-23 28-31
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second),
                                                    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  alignas(32) int32_t pieces[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(pieces), bytes);
  for (int j = 0; j < 8; ++j) std::memcpy(at + 4 * rows * j, pieces + j, 4);
  const __m256i ones = _mm256_set1_epi16(1);
  const __m256i halves = _mm256_hadd_epi32(_mm256_madd_epi16(first, ones), _mm256_madd_epi16(second, ones));
  __m128i total = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
  total = _mm_hadd_epi32(total, total);
  const int sum0 = _mm_extract_epi32(total, 0), sum1 = _mm_extract_epi32(total, 1);
  *scale = chosen.scale;
  *scaled_sum = chosen.scale * static_cast<float>(sum0 + sum1);
  sums[0] = static_cast<int16_t>(sum0);
  sums[1] = static_cast<int16_t>(sum1);
}

HWY_INLINE void ResidualBlock(const float* x, float* residual) {
  __m256 v[4];
  __m256i q[4];
  LoadBlock(x, v);
  const __m256 scale = _mm256_set1_ps(RoundBlock(v, q).scale);
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(residual + 8 * i, _mm256_fnmadd_ps(scale, _mm256_cvtepi32_ps(q[i]), v[i]));
  }
}

#else

HWY_INLINE BlockScale ScaleOfBlock(const float* x) {
  uint32_t largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFu);
  return ChooseScale(largest);
}

HWY_INLINE int Code(float x, const BlockScale& chosen) {
  return chosen.inverse == 0.0f ? 0 : static_cast<int>(std::nearbyint(x * chosen.inverse));
}

HWY_INLINE void ResidualBlock(const float* x, float* residual) {
  const BlockScale chosen = ScaleOfBlock(x);
  for (int i = 0; i < 32; ++i)
    residual[i] = std::fma(-chosen.scale, static_cast<float>(Code(x[i], chosen)), x[i]);
}

HWY_INLINE void QuantizeBlock(const float* x, int64_t rows, std::byte* at, float* scale, float* scaled_sum,
                              int16_t* sums) {
  const BlockScale chosen = ScaleOfBlock(x);
  int total[2] = {0, 0};
  for (int i = 0; i < 32; ++i) {
    const int q = Code(x[i], chosen);
    total[i / 16] += q;
    at[4 * rows * (i / 4) + i % 4] = static_cast<std::byte>(q);
  }
  *scale = chosen.scale;
  *scaled_sum = chosen.scale * static_cast<float>(total[0] + total[1]);
  sums[0] = static_cast<int16_t>(total[0]);
  sums[1] = static_cast<int16_t>(total[1]);
}

#endif

HWY_INLINE float QuantizeInto(const float* x, int64_t rows, std::byte* at) {
  float scale = 0, scaled_sum = 0;
  int16_t sums[2];
  QuantizeBlock(x, rows, at, &scale, &scaled_sum, sums);
  std::memcpy(at + 32 * rows, &scale, 4);
  std::memcpy(at + 36 * rows, &scaled_sum, 4);
  std::memcpy(at + 40 * rows, sums, 4);
  return scale;
}

// `scales` has room for twice the row's blocks.
void QuantizeRow(const float* x, int64_t columns, const Int8Block& first, int64_t to_second, float* scales) {
  const int64_t rows = first.group_rows, blocks = columns / 32, to_next = rows * kInt8BlockBytes;
  std::byte* at = const_cast<std::byte*>(first.at) + 4 * first.row_in_group;
  for (int64_t b = 0; b < blocks; ++b) scales[b] = QuantizeInto(x + 32 * b, rows, at + b * to_next);
  // In proportion to the blocks' largest values. NaN, which no order holds, counts as none.
  float* sorted = scales + blocks;
  std::transform(scales, scales + blocks, sorted, [](float scale) { return scale > 0.0f ? scale : 0.0f; });
  std::nth_element(sorted, sorted + blocks / 2, sorted + blocks);
  const float level = kOutlierLevel * sorted[blocks / 2];
  for (int64_t b = 0; b < blocks; ++b) {
    std::byte* second = at + b * to_next + to_second;
    if (scales[b] > level) {
      float residual[32];
      ResidualBlock(x + 32 * b, residual);
      QuantizeInto(residual, rows, second);
    } else {
      std::memset(second + 32 * rows, 0, 4);
      std::memset(second + 36 * rows, 0, 4);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "core/kernels/cpu/cpu_target.h"

namespace hone {

HWY_EXPORT(QuantizeRow);

int64_t PreparedBytes(ActivationForm form, int64_t rows, int64_t columns) {
  if (form == ActivationForm::kFloat) return rows * columns * 4;
  return 2 * ToSecondCodes(rows, columns);
}

void Prepare(ActivationForm form, MatrixView<const float> x, int64_t begin, int64_t end, std::byte* data) {
  EnsureCpuTarget();
  std::vector<float> scales(form == ActivationForm::kInt8 ? 2 * x.columns / kActivationBlock : 0);
  for (int64_t row = begin; row < end; ++row) {
    if (form == ActivationForm::kFloat) {
      std::memcpy(data + row * x.columns * 4, x.row(row), static_cast<size_t>(x.columns) * 4);
    } else {
      HWY_DYNAMIC_DISPATCH(QuantizeRow)
      (x.row(row), x.columns, FindInt8Block(data, x.rows, x.columns, row, 0),
       ToSecondCodes(x.rows, x.columns), scales.data());
    }
  }
}

void RoundAsInt8(std::span<float> x) {
  const auto columns = static_cast<int64_t>(x.size());
  std::vector<std::byte> data(static_cast<size_t>(PreparedBytes(ActivationForm::kInt8, 1, columns)));
  Prepare(ActivationForm::kInt8, {x.data(), 1, columns}, 0, 1, data.data());
  for (int64_t block = 0; block < columns / kActivationBlock; ++block) {
    const Int8Block first = FindInt8Block(data.data(), 1, columns, 0, block);
    const Int8Block second{first.at + ToSecondCodes(1, columns), 1, 0};
    float* values = x.data() + block * kActivationBlock;
    for (int i = 0; i < kActivationBlock; ++i) {
      values[i] = first.scale() * static_cast<float>(first.Value(i));
      if (second.scale() != 0.0f) values[i] += second.scale() * static_cast<float>(second.Value(i));
    }
  }
}

}  // namespace hone
#endif  // HWY_ONCE
