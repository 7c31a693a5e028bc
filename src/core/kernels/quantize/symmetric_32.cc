// Q4_0, Q5_0, Q8_0 and IQ4_NL: blocks of 32 values with one scale.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/quantize/symmetric_32.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/quantize/pack_32.h"
#include "core/kernels/quantize/symmetric-inl.h"
#include "core/tensor/blocks.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

constexpr int kAtOnce = 8;  // blocks
using Blocks32 = BlockLanes<32, kAtOnce>;
constexpr int kCodes = 32 * kAtOnce;

// Codes on the grid of `scales`, as gguf-py rounds them: the scale is not yet a float16 number there.
// trunc(x / s + kHalf + 1/2) for the types with an offset.
template <int kHalf>
struct OffsetRounding {
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE V Nearest(D d, V x, V inverse) {
    constexpr float kOffset = kHalf + 0.5f;
    const V code = hn::Trunc(hn::Add(hn::Mul(x, inverse), hn::Set(d, kOffset)));
    const V held = hn::Min(hn::Max(code, hn::Zero(d)), hn::Set(d, 2.0f * kHalf - 1.0f));
    return hn::Sub(held, hn::Set(d, static_cast<float>(kHalf)));
  }
};

// Half away from zero.
struct AwayRounding {
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE V Nearest(D d, V x, V inverse) {
    const V t = hn::Mul(x, inverse);
    const V magnitude = hn::Abs(t);
    const V floor = hn::Trunc(magnitude);
    const V twice = hn::Sub(magnitude, floor);
    const V rounded = hn::Add(floor, hn::Trunc(hn::Add(twice, twice)));
    return hn::CopySign(rounded, hn::IfThenElse(hn::Eq(rounded, hn::Zero(d)), hn::Zero(d), t));
  }
};

// Codes of the grid with `scales`, the errors with these scales as float16.
template <class Levels, class Rounding>
HWY_INLINE void EncodeNearest(const Blocks32& blocks, const float* scales, const float* halves,
                              int32_t* codes, float* errors) {
  const Blocks32::Tag d;
  const hn::RebindToSigned<Blocks32::Tag> integers;
  for (int lane = 0; lane < kAtOnce; lane += Blocks32::Step()) {
    const auto inverse = Inverse(d, hn::Load(d, scales + lane));
    const auto scale = hn::Load(d, halves + lane);
    auto error = hn::Zero(d);
    for (int j = 0; j < 32; ++j) {
      const auto x = hn::Load(d, blocks.x + j * kAtOnce + lane);
      const auto q = Rounding::Nearest(d, x, inverse);
      hn::Store(Levels::Code(d, q), integers, codes + j * kAtOnce + lane);
      const auto off = hn::Sub(x, hn::Mul(scale, q));
      error = Fused(d, hn::Mul(off, off), hn::Load(d, blocks.w + j * kAtOnce + lane), error);
    }
    hn::Store(error, d, errors + lane);
  }
}

// Eight blocks at a time: those of nearest rounding, or the better ones of search.
template <class Levels, class Rounding, class Block, void (*pack)(const int32_t*, int, uint16_t, Block&)>
HWY_INLINE void QuantizeSymmetric(const QuantizeTask& task) {
  const int64_t in_row = task.columns / 32;
  for (int64_t block = 0; block < task.blocks; block += kAtOnce) {
    const int used = static_cast<int>(task.blocks - block < kAtOnce ? task.blocks - block : kAtOnce);
    Blocks32 blocks;
    blocks.Load(task, task.x + block * 32, used, block % in_row * 32);
    HWY_ALIGN float scales[kAtOnce], halves[kAtOnce], errors[kAtOnce];
    HWY_ALIGN int32_t codes[kCodes];
    PeakScales<Levels>(blocks, scales);
    for (int i = 0; i < kAtOnce; ++i) halves[i] = AsHalf(scales[i]);
    EncodeNearest<Levels, Rounding>(blocks, scales, halves, codes, errors);
    HWY_ALIGN float found[kAtOnce], found_errors[kAtOnce];
    HWY_ALIGN int32_t found_codes[kCodes];
    if (task.rounding == hone::Rounding::kSearch) {
      SearchScales<Levels>(blocks, found);
      for (float& scale : found) scale = AsHalf(scale);
      EncodeSymmetric<Levels>(blocks, found, found_codes, found_errors);
    }
    for (int i = 0; i < used; ++i) {
      const bool better = task.rounding == hone::Rounding::kSearch && found_errors[i] < errors[i];
      Block packed;
      pack((better ? found_codes : codes) + i, kAtOnce, F32ToF16(better ? found[i] : halves[i]), packed);
      std::memcpy(task.out + (block + i) * static_cast<int64_t>(sizeof(Block)), &packed, sizeof(Block));
    }
  }
}

void Q4_0(const QuantizeTask& task) {
  QuantizeSymmetric<IntegerLevels<8>, OffsetRounding<8>, BlockQ4_0, PackNibbleBlock>(task);
}
void Q5_0(const QuantizeTask& task) {
  QuantizeSymmetric<IntegerLevels<16>, OffsetRounding<16>, BlockQ5_0, PackFiveBitBlock>(task);
}
void Q8_0(const QuantizeTask& task) {
  QuantizeSymmetric<ByteLevels, AwayRounding, BlockQ8_0, PackByteBlock>(task);
}
void IQ4_NL(const QuantizeTask& task) {
  QuantizeSymmetric<NonlinearLevels, NonlinearLevels, BlockIQ4_NL, PackNonlinearBlock>(task);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(Q4_0);
HWY_EXPORT(Q5_0);
HWY_EXPORT(Q8_0);
HWY_EXPORT(IQ4_NL);

void QuantizeQ4_0(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q4_0)(task); }
void QuantizeQ5_0(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q5_0)(task); }
void QuantizeQ8_0(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(Q8_0)(task); }
void QuantizeIQ4_NL(const QuantizeTask& task) { HWY_DYNAMIC_DISPATCH(IQ4_NL)(task); }

}  // namespace hone
#endif  // HWY_ONCE
