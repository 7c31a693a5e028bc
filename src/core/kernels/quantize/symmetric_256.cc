// Q3_K, Q6_K and IQ4_XS: super-blocks of 256 values, whose sub-blocks have a scale that is quantized itself:
// x' = d s q with a small integer s of either sign.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/quantize/symmetric_256.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/quantize/pack_256.h"
#include "core/kernels/quantize/symmetric-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

template <int kLanes>
struct SymmetricBlock {
  float d = 0.0f;
  int8_t s[kLanes];
  HWY_ALIGN float scales[kLanes];  // d s
  HWY_ALIGN float errors[kLanes];
  HWY_ALIGN int32_t codes[256];
};

// `scales` as multiples lowest .. -lowest - 1 of a float16 number, so that the largest one becomes `lowest`.
template <int kLanes>
void RoundScales(const float (&scales)[kLanes], int lowest, SymmetricBlock<kLanes>& block) {
  float peak = 0.0f;
  for (const float scale : scales) {
    if ((scale < 0 ? -scale : scale) > (peak < 0 ? -peak : peak)) peak = scale;
  }
  block.d = AsHalf(peak / static_cast<float>(lowest));
  const float inverse = block.d != 0.0f ? 1.0f / block.d : 0.0f;
  for (int i = 0; i < kLanes; ++i) {
    const float multiple = scales[i] * inverse;
    const int nearest = static_cast<int>(multiple + (multiple < 0 ? -0.5f : 0.5f));
    block.s[i] = static_cast<int8_t>(nearest < lowest        ? lowest
                                     : nearest > -lowest - 1 ? -lowest - 1
                                                             : nearest);
    block.scales[i] = block.d * static_cast<float>(block.s[i]);
  }
}

template <class Levels, class Block, int kLanes, int kLowestScale>
HWY_INLINE void QuantizeSymmetric256(const QuantizeTask& task) {
  const int64_t in_row = task.columns / 256;
  for (int64_t i = 0; i < task.blocks; ++i) {
    BlockLanes<256 / kLanes, kLanes> blocks;
    blocks.Load(task, task.x + i * 256, kLanes, i % in_row * 256);
    HWY_ALIGN float scales[kLanes];
    SymmetricBlock<kLanes> nearest, searched;
    PeakScales<Levels>(blocks, scales);
    RoundScales(scales, kLowestScale, nearest);
    EncodeSymmetric<Levels>(blocks, nearest.scales, nearest.codes, nearest.errors);
    const SymmetricBlock<kLanes>* better = &nearest;
    if (task.rounding == Rounding::kSearch) {
      SearchScales<Levels>(blocks, scales);
      RoundScales(scales, kLowestScale, searched);
      EncodeSymmetric<Levels>(blocks, searched.scales, searched.codes, searched.errors);
      if (SumInOrder(searched.errors) < SumInOrder(nearest.errors)) better = &searched;
    }
    Block packed;
    PackSymmetric(better->codes, better->s, F32ToF16(better->d), packed);
    std::memcpy(task.out + i * static_cast<int64_t>(sizeof(Block)), &packed, sizeof(Block));
  }
}

void Q3_K(const QuantizeTask& task) { QuantizeSymmetric256<IntegerLevels<4>, BlockQ3_K, 16, -32>(task); }
void Q6_K(const QuantizeTask& task) { QuantizeSymmetric256<IntegerLevels<32>, BlockQ6_K, 16, -128>(task); }
void IQ4_XS(const QuantizeTask& task) { QuantizeSymmetric256<NonlinearLevels, BlockIQ4_XS, 8, -32>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(Q3_K);
HWY_EXPORT(Q6_K);
HWY_EXPORT(IQ4_XS);

void QuantizeQ3_K(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q3_K)(task); }
void QuantizeQ6_K(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q6_K)(task); }
void QuantizeIQ4_XS(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(IQ4_XS)(task); }

}  // namespace hone
#endif  // HWY_ONCE
