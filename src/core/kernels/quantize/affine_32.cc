// Q4_1 and Q5_1: blocks of 32 values with a scale and a minimum.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/quantize/affine_32.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/quantize/affine-inl.h"
#include "core/kernels/quantize/pack_32.h"
#include "core/tensor/blocks.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

constexpr int kAtOnce = 8;  // blocks
using Blocks32 = BlockLanes<32, kAtOnce>;
constexpr int kCodes = 32 * kAtOnce;

// trunc((x - m) / s + 1/2), where s and m are not yet float16 numbers, as gguf-py rounds; the errors with
// these as float16.
template <class Grid>
HWY_INLINE void EncodeNearest(const Blocks32& blocks, const float* scales, const float* minima,
                              const float* half_scales, const float* half_minima, int32_t* codes,
                              float* errors) {
  const Blocks32::Tag d;
  const hn::RebindToSigned<Blocks32::Tag> integers;
  for (int lane = 0; lane < kAtOnce; lane += Blocks32::Step()) {
    const auto inverse = Inverse(d, hn::Load(d, scales + lane));
    const auto low = hn::Load(d, minima + lane);
    const auto scale = hn::Load(d, half_scales + lane);
    const auto minimum = hn::Load(d, half_minima + lane);
    auto error = hn::Zero(d);
    for (int j = 0; j < 32; ++j) {
      const auto x = hn::Load(d, blocks.x + j * kAtOnce + lane);
      const auto rounded = hn::Trunc(hn::Add(hn::Mul(hn::Sub(x, low), inverse), hn::Set(d, 0.5f)));
      const auto q = hn::Min(rounded, hn::Set(d, Grid::kTop));
      hn::Store(hn::ConvertTo(integers, q), integers, codes + j * kAtOnce + lane);
      const auto off = hn::Sub(x, hn::Add(hn::Mul(scale, q), minimum));
      error = Fused(d, hn::Mul(off, off), hn::Load(d, blocks.w + j * kAtOnce + lane), error);
    }
    hn::Store(error, d, errors + lane);
  }
}

struct Found {
  HWY_ALIGN float scales[kAtOnce];
  HWY_ALIGN float minima[kAtOnce];
  HWY_ALIGN float errors[kAtOnce];
  HWY_ALIGN int32_t codes[kCodes];
};

template <class Grid>
HWY_INLINE void Nearest(const Blocks32& blocks, Found& found) {
  HWY_ALIGN float scales[kAtOnce], minima[kAtOnce];
  ExtremeScales<Grid>(blocks, scales, minima);
  for (int i = 0; i < kAtOnce; ++i) {
    found.scales[i] = AsHalf(scales[i]);
    found.minima[i] = AsHalf(minima[i]);
  }
  EncodeNearest<Grid>(blocks, scales, minima, found.scales, found.minima, found.codes, found.errors);
}

template <class Grid>
HWY_INLINE void Search(const Blocks32& blocks, Found& found) {
  SearchAffine<Grid>(blocks, found.scales, found.minima);
  for (float& scale : found.scales) scale = AsHalf(scale);
  for (float& minimum : found.minima) minimum = AsHalf(minimum);
  EncodeAffine<Grid>(blocks, found.scales, found.minima, found.codes, found.errors);
}

template <class Grid, class Block, void (*pack)(const int32_t*, int, uint16_t, uint16_t, Block&)>
HWY_INLINE void QuantizeAffine(const QuantizeTask& task) {
  const bool search = task.rounding == Rounding::kSearch;
  const int64_t in_row = task.columns / 32;
  for (int64_t block = 0; block < task.blocks; block += kAtOnce) {
    const int used = static_cast<int>(task.blocks - block < kAtOnce ? task.blocks - block : kAtOnce);
    Blocks32 blocks;
    blocks.Load(task, task.x + block * 32, used, block % in_row * 32);
    Found nearest, searched;
    Nearest<Grid>(blocks, nearest);
    if (search) Search<Grid>(blocks, searched);
    for (int i = 0; i < used; ++i) {
      const Found& better = search && searched.errors[i] < nearest.errors[i] ? searched : nearest;
      Block packed;
      pack(better.codes + i, kAtOnce, F32ToF16(better.scales[i]), F32ToF16(better.minima[i]), packed);
      std::memcpy(task.out + (block + i) * static_cast<int64_t>(sizeof(Block)), &packed, sizeof(Block));
    }
  }
}

void Q4_1(const QuantizeTask& task) {
  QuantizeAffine<AffineGrid<15, false, 8>, BlockQ4_1, PackAffineNibbleBlock>(task);
}
void Q5_1(const QuantizeTask& task) {
  QuantizeAffine<AffineGrid<31, false, 6>, BlockQ5_1, PackAffineFiveBitBlock>(task);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(Q4_1);
HWY_EXPORT(Q5_1);

void QuantizeQ4_1(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q4_1)(task); }
void QuantizeQ5_1(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q5_1)(task); }

}  // namespace hone
#endif  // HWY_ONCE
