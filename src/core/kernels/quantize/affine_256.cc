// Q2_K, Q4_K and Q5_K: super-blocks of 256 values, whose sub-blocks have a scale and a minimum that are
// quantized themselves: x' = d s q - e t with small integers s and t.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/quantize/affine_256.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include <algorithm>

#include "core/kernels/quantize/affine-inl.h"
#include "core/kernels/quantize/pack_256.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

template <int kLanes>
struct AffineBlock {
  float d = 0.0f, e = 0.0f;
  uint8_t s[kLanes], t[kLanes];
  HWY_ALIGN float scales[kLanes];  // d s
  HWY_ALIGN float minima[kLanes];  // -e t
  HWY_ALIGN float errors[kLanes];
  HWY_ALIGN int32_t codes[256];
};

// `values` as multiples 0 .. top of a float16 number, which is returned.
template <int kLanes>
float RoundToMultiples(const float (&values)[kLanes], int top, uint8_t (&multiples)[kLanes]) {
  float largest = 0.0f;
  for (const float value : values) largest = value > largest ? value : largest;
  const float unit = AsHalf(largest / static_cast<float>(top));
  const float inverse = unit > 0.0f ? 1.0f / unit : 0.0f;
  for (int i = 0; i < kLanes; ++i) {
    const int nearest = static_cast<int>(values[i] * inverse + 0.5f);
    multiples[i] = static_cast<uint8_t>(nearest < top ? nearest : top);
  }
  return unit;
}

template <int kLanes>
void RoundScales(const float (&scales)[kLanes], int top, AffineBlock<kLanes>& block) {
  block.d = RoundToMultiples(scales, top, block.s);
  for (int i = 0; i < kLanes; ++i) block.scales[i] = block.d * static_cast<float>(block.s[i]);
}

template <int kLanes>
void RoundMinima(const float (&minima)[kLanes], int top, AffineBlock<kLanes>& block) {
  float offsets[kLanes];
  for (int i = 0; i < kLanes; ++i) offsets[i] = minima[i] < 0.0f ? -minima[i] : 0.0f;
  block.e = RoundToMultiples(offsets, top, block.t);
  for (int i = 0; i < kLanes; ++i) block.minima[i] = -(block.e * static_cast<float>(block.t[i]));
}

// With the scales rounded, the best minima for the codes that they give.
template <class Grid, class Blocks>
HWY_INLINE void RefitMinima(const Blocks& blocks, const float* scales, float* minima) {
  const typename Blocks::Tag d;
  using V = hn::Vec<decltype(d)>;
  for (int lane = 0; lane < Blocks::Lanes(); lane += Blocks::Step()) {
    const V scale = hn::Load(d, scales + lane);
    const V minimum = hn::Load(d, minima + lane);
    const V inverse = Inverse(d, scale);
    const V offset = hn::Mul(minimum, inverse);
    V w = hn::Zero(d);
    V left = hn::Zero(d);
    for (int j = 0; j < Blocks::Values(); ++j) {
      const V x = hn::Load(d, blocks.x + j * Blocks::Lanes() + lane);
      const V weight = hn::Load(d, blocks.w + j * Blocks::Lanes() + lane);
      const V t = hn::Sub(hn::Mul(x, inverse), offset);
      const V held = hn::Min(hn::Max(t, hn::Zero(d)), hn::Set(d, Grid::kTop));
      const V q = hn::Sub(hn::Add(held, hn::Set(d, kRounder)), hn::Set(d, kRounder));
      w = hn::Add(w, weight);
      left = Fused(d, weight, hn::Sub(x, hn::Mul(scale, q)), left);
    }
    hn::Store(hn::Min(DivideOrZero(d, left, w), hn::Zero(d)), d, minima + lane);
  }
}

template <class Grid, class Blocks, int kLanes>
HWY_INLINE void EncodeNearest(const Blocks& blocks, int top, AffineBlock<kLanes>& block) {
  HWY_ALIGN float scales[kLanes], minima[kLanes];
  ExtremeScales<Grid>(blocks, scales, minima);
  RoundScales(scales, top, block);
  RoundMinima(minima, top, block);
  EncodeAffine<Grid>(blocks, block.scales, block.minima, block.codes, block.errors);
}

template <class Grid, class Blocks, int kLanes>
HWY_INLINE void EncodeSearched(const Blocks& blocks, int top, AffineBlock<kLanes>& block) {
  HWY_ALIGN float scales[kLanes], minima[kLanes];
  SearchAffine<Grid>(blocks, scales, minima);
  RoundScales(scales, top, block);
  RefitMinima<Grid>(blocks, block.scales, minima);
  RoundMinima(minima, top, block);
  EncodeAffine<Grid>(blocks, block.scales, block.minima, block.codes, block.errors);
}

// kTopScale: the largest multiple of a scale or minimum.
template <class Grid, class Block, int kLanes, int kTopScale>
HWY_INLINE void QuantizeAffine256(const QuantizeTask& task) {
  const int64_t in_row = task.columns / 256;
  for (int64_t i = 0; i < task.blocks; ++i) {
    BlockLanes<256 / kLanes, kLanes> blocks;
    blocks.Load(task, task.x + i * 256, kLanes, i % in_row * 256);
    AffineBlock<kLanes> nearest, searched;
    EncodeNearest<Grid>(blocks, kTopScale, nearest);
    const AffineBlock<kLanes>* better = &nearest;
    if (task.rounding == Rounding::kSearch) {
      EncodeSearched<Grid>(blocks, kTopScale, searched);
      if (SumInOrder(searched.errors) < SumInOrder(nearest.errors)) better = &searched;
    }
    Block packed;
    PackAffine(better->codes, better->s, better->t, F32ToF16(better->d), F32ToF16(better->e), packed);
    std::memcpy(task.out + i * static_cast<int64_t>(sizeof(Block)), &packed, sizeof(Block));
  }
}

void Q2_K(const QuantizeTask& task) { QuantizeAffine256<AffineGrid<3, true, 8>, BlockQ2_K, 16, 15>(task); }
void Q4_K(const QuantizeTask& task) { QuantizeAffine256<AffineGrid<15, true, 8>, BlockQ4_K, 8, 63>(task); }
void Q5_K(const QuantizeTask& task) { QuantizeAffine256<AffineGrid<31, true, 6>, BlockQ5_K, 8, 63>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(Q2_K);
HWY_EXPORT(Q4_K);
HWY_EXPORT(Q5_K);

void QuantizeQ2_K(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q2_K)(task); }
void QuantizeQ4_K(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q4_K)(task); }
void QuantizeQ5_K(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q5_K)(task); }

}  // namespace hone
#endif  // HWY_ONCE
