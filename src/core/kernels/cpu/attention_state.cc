#include "core/kernels/attention_state.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/attention_state.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "core/kernels/cpu/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

void Merge(const AttentionStates& part, const AttentionStates& total) {
  const hn::CappedTag<float, 8> d;
  for (int pair = 0; pair < total.pairs; ++pair) {
    if (part.denominator[pair] == 0.0f) continue;
    const float max = std::max(total.max[pair], part.max[pair]);
    // exp(0) is exactly 1: with the same fixed phi this is addition.
    const float old_factor = hn::GetLane(Exp(d, hn::Set(d, total.max[pair] - max)));
    const float new_factor = hn::GetLane(Exp(d, hn::Set(d, part.max[pair] - max)));
    total.denominator[pair] = total.denominator[pair] * old_factor + part.denominator[pair] * new_factor;
    total.max[pair] = max;
    const float* from = part.numerators[pair];
    float* to = total.numerators[pair];
    for (int i = 0; i < total.head_dim; i += static_cast<int>(hn::Lanes(d))) {
      const auto old_part = hn::Mul(hn::LoadU(d, to + i), hn::Set(d, old_factor));
      hn::StoreU(hn::MulAdd(hn::LoadU(d, from + i), hn::Set(d, new_factor), old_part), d, to + i);
    }
  }
}

void Finish(const AttentionStates& states) {
  const hn::CappedTag<float, 8> d;
  for (int pair = 0; pair < states.pairs; ++pair) {
    const float denominator = states.denominator[pair];
    const float factor = denominator == 0.0f ? 0.0f : 1.0f / denominator;
    float* x = states.numerators[pair];
    for (int i = 0; i < states.head_dim; i += static_cast<int>(hn::Lanes(d))) {
      hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, x + i);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(Merge);
HWY_EXPORT(Finish);

void MergeStates(const AttentionStates& part, const AttentionStates& total) {
  HWY_DYNAMIC_DISPATCH(Merge)(part, total);
}

void FinishStates(const AttentionStates& states) { HWY_DYNAMIC_DISPATCH(Finish)(states); }

}  // namespace hone
#endif  // HWY_ONCE
