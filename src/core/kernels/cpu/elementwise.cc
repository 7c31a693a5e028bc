#include "core/kernels/elementwise.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/elementwise.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "core/kernels/cpu/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Full = hn::ScalableTag<float>;
using One = hn::CappedTag<float, 1>;  // for what is left; lanes compute the same whatever the vector

// Calls body(tag, i) for vectors that cover [0, count).
template <class Body>
HWY_INLINE void ForVectors(size_t count, Body body) {
  const Full full;
  size_t i = 0;
  for (; i + hn::Lanes(full) <= count; i += hn::Lanes(full)) body(full, i);
  for (; i < count; ++i) body(One(), i);
}

float SumOfSquares(const float* x, size_t count) {
  constexpr size_t kSums = 4;  // hides the latency of the additions
  const Full d;
  const size_t lanes = hn::Lanes(d);
  hn::Vec<Full> sum[kSums] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  size_t i = 0;
  for (; i + kSums * lanes <= count; i += kSums * lanes) {
    for (size_t k = 0; k < kSums; ++k) {
      const auto v = hn::LoadU(d, x + i + k * lanes);
      sum[k] = hn::MulAdd(v, v, sum[k]);
    }
  }
  for (; i + lanes <= count; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    sum[0] = hn::MulAdd(v, v, sum[0]);
  }
  float rest = 0.0f;
  for (; i < count; ++i) rest += x[i] * x[i];
  const auto total = hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]));
  return hn::GetLane(hn::SumOfLanes(d, total)) + rest;
}

void RmsNorm(const float* x, const float* w, float epsilon, size_t count, float* y) {
  const double mean = static_cast<double>(SumOfSquares(x, count)) / static_cast<double>(count);
  const float factor = static_cast<float>(1.0 / std::sqrt(mean + static_cast<double>(epsilon)));
  ForVectors(count, [&](auto d, size_t i) HWY_ATTR {
    auto v = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor));
    if (w != nullptr) v = hn::Mul(v, hn::LoadU(d, w + i));
    hn::StoreU(v, d, y + i);
  });
}

void RotateHalves(const float* cos, const float* sin, size_t pairs, float* x) {
  ForVectors(pairs, [&](auto d, size_t i) HWY_ATTR {
    const auto a = hn::LoadU(d, x + i);
    const auto b = hn::LoadU(d, x + pairs + i);
    const auto c = hn::LoadU(d, cos + i);
    const auto s = hn::LoadU(d, sin + i);
    hn::StoreU(hn::NegMulAdd(b, s, hn::Mul(a, c)), d, x + i);
    hn::StoreU(hn::MulAdd(b, c, hn::Mul(a, s)), d, x + pairs + i);
  });
}

void RotateNeighbours(const float* cos, const float* sin, size_t pairs, float* x) {
  ForVectors(pairs, [&](auto d, size_t i) HWY_ATTR {
    hn::Vec<decltype(d)> a;
    hn::Vec<decltype(d)> b;
    hn::LoadInterleaved2(d, x + 2 * i, a, b);
    const auto c = hn::LoadU(d, cos + i);
    const auto s = hn::LoadU(d, sin + i);
    const auto rotated_a = hn::NegMulAdd(b, s, hn::Mul(a, c));
    const auto rotated_b = hn::MulAdd(b, c, hn::Mul(a, s));
    hn::StoreInterleaved2(rotated_a, rotated_b, d, x + 2 * i);
  });
}

// x / (1 + exp(-u))
template <class D, class V = hn::Vec<D>>
HWY_INLINE V TimesSigmoid(D d, V x, V u) {
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), Exp(d, hn::Neg(u))));
}

void SiluTimes(const float* gate, const float* up, size_t count, float* y) {
  ForVectors(count, [&](auto d, size_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, gate + i);
    hn::StoreU(hn::Mul(TimesSigmoid(d, x, x), hn::LoadU(d, up + i)), d, y + i);
  });
}

// 0.5 (1 + tanh(u)) = sigmoid(2 u)
void GeluTimes(const float* gate, const float* up, size_t count, float* y) {
  constexpr float kTwiceRootOfTwoByPi = 1.59576912f;
  ForVectors(count, [&](auto d, size_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, gate + i);
    const auto cube = hn::Mul(hn::Mul(x, x), x);
    const auto u = hn::Mul(hn::MulAdd(cube, hn::Set(d, 0.044715f), x), hn::Set(d, kTwiceRootOfTwoByPi));
    hn::StoreU(hn::Mul(TimesSigmoid(d, x, u), hn::LoadU(d, up + i)), d, y + i);
  });
}

void AddTo(const float* x, size_t count, float* y) {
  ForVectors(count, [&](auto d, size_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  });
}

void Scale(float factor, size_t count, float* y) {
  ForVectors(count, [&](auto d, size_t i)
                        HWY_ATTR { hn::StoreU(hn::Mul(hn::LoadU(d, y + i), hn::Set(d, factor)), d, y + i); });
}

// -infinity where all are NaN or there is none.
float LargestValue(const float* x, size_t count) {
  const Full d;
  auto largest = hn::Set(d, -std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, x + i);
    largest = hn::IfThenElse(hn::Gt(v, largest), v, largest);  // false for NaN
  }
  float result = hn::GetLane(hn::MaxOfLanes(d, largest));
  for (; i < count; ++i) {
    if (x[i] > result) result = x[i];
  }
  return result;
}

int64_t ArgMax(const float* x, size_t count) {
  const Full d;
  const float largest = LargestValue(x, count);
  size_t i = 0;
  while (i + hn::Lanes(d) <= count && hn::AllFalse(d, hn::Eq(hn::LoadU(d, x + i), hn::Set(d, largest)))) {
    i += hn::Lanes(d);
  }
  for (; i < count; ++i) {
    if (x[i] == largest) return static_cast<int64_t>(i);
  }
  return 0;
}

double LogSumExp(const float* x, size_t count) {
  const float largest = LargestValue(x, count);
  if (std::isinf(largest) && largest > 0) return largest;
  const float reference = std::isinf(largest) ? 0.0f : largest;
  constexpr size_t kBlock = 64;
  HWY_ALIGN float exps[kBlock];
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> half;
  auto sum = hn::Zero(dd);
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t length = std::min(kBlock, count - begin);
    std::fill(exps + length, exps + kBlock, 0.0f);
    ForVectors(length, [&](auto d, size_t i) HWY_ATTR {
      hn::StoreU(Exp(d, hn::Sub(hn::LoadU(d, x + begin + i), hn::Set(d, reference))), d, exps + i);
    });
    for (size_t i = 0; i < kBlock; i += hn::Lanes(dd)) {
      sum = hn::Add(sum, hn::PromoteTo(dd, hn::LoadU(half, exps + i)));
    }
  }
  return static_cast<double>(reference) + std::log(hn::GetLane(hn::SumOfLanes(dd, sum)));
}

bool AllFinite(const float* x, size_t count) {
  const Full d;
  auto poison = hn::Zero(d);  // x * 0 is NaN unless x is finite
  size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d))
    poison = hn::MulAdd(hn::LoadU(d, x + i), hn::Zero(d), poison);
  bool finite = hn::AllTrue(d, hn::Eq(poison, hn::Zero(d)));
  for (; i < count; ++i) finite = finite && std::isfinite(x[i]);
  return finite;
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(RmsNorm);
HWY_EXPORT(RotateHalves);
HWY_EXPORT(RotateNeighbours);
HWY_EXPORT(SiluTimes);
HWY_EXPORT(GeluTimes);
HWY_EXPORT(AddTo);
HWY_EXPORT(Scale);
HWY_EXPORT(ArgMax);
HWY_EXPORT(LogSumExp);
HWY_EXPORT(AllFinite);

void RmsNorm(std::span<const float> x, std::span<const float> w, float epsilon, std::span<float> y) {
  HWY_DYNAMIC_DISPATCH(RmsNorm)(x.data(), w.empty() ? nullptr : w.data(), epsilon, x.size(), y.data());
}

void Rope(RopePairs pairs, std::span<const float> cos, std::span<const float> sin, std::span<float> x) {
  if (pairs == RopePairs::kHalves) {
    HWY_DYNAMIC_DISPATCH(RotateHalves)(cos.data(), sin.data(), cos.size(), x.data());
  } else {
    HWY_DYNAMIC_DISPATCH(RotateNeighbours)(cos.data(), sin.data(), cos.size(), x.data());
  }
}

void SiluTimes(std::span<const float> gate, std::span<const float> up, std::span<float> y) {
  HWY_DYNAMIC_DISPATCH(SiluTimes)(gate.data(), up.data(), y.size(), y.data());
}

void GeluTimes(std::span<const float> gate, std::span<const float> up, std::span<float> y) {
  HWY_DYNAMIC_DISPATCH(GeluTimes)(gate.data(), up.data(), y.size(), y.data());
}

void AddTo(std::span<const float> x, std::span<float> y) {
  HWY_DYNAMIC_DISPATCH(AddTo)(x.data(), y.size(), y.data());
}

void Scale(float factor, std::span<float> y) { HWY_DYNAMIC_DISPATCH(Scale)(factor, y.size(), y.data()); }

double LogSumExp(std::span<const float> x) { return HWY_DYNAMIC_DISPATCH(LogSumExp)(x.data(), x.size()); }

int64_t ArgMax(std::span<const float> x) { return HWY_DYNAMIC_DISPATCH(ArgMax)(x.data(), x.size()); }

bool AllFinite(std::span<const float> x) { return HWY_DYNAMIC_DISPATCH(AllFinite)(x.data(), x.size()); }

}  // namespace hone
#endif  // HWY_ONCE
