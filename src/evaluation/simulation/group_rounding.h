// Rounding to nearest in groups, as "Evaluating Quantized Large Language Models" (arXiv 2402.18158) simulates
// every number of bits. Ties go to the even code.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/tensor/half.h"

namespace hone {

// Codes 0 .. 2^bits - 1 of a group and what they stand for: x' = (code - zero) scale.
//   scale = max((max - min), 1e-5) / (2^bits - 1), zero = clamp(-round(min / scale), 0, 2^bits - 1)
// A group that does not contain 0 loses range, as in the paper's code.
struct AsymmetricGrid {
  float scale = 0.0f;
  int zero = 0;
  int most = 0;  // 2^bits - 1

  int Code(float x) const;
  float Value(int code) const { return static_cast<float>(code - zero) * scale; }
};
AsymmetricGrid AsymmetricGridOf(std::span<const float> x, int bits);

// Codes -2^(bits-1) .. 2^(bits-1) - 1: x' = code scale, scale = max(|x|max, 1e-5) / (2^(bits-1) - 1).
struct SymmetricGrid {
  float scale = 0.0f;
  int least = 0;
  int most = 0;

  int Code(float x) const;
  float Value(int code) const { return static_cast<float>(code) * scale; }
};
SymmetricGrid SymmetricGridOf(std::span<const float> x, int bits);

// Every stretch of `group` values of x (the last may be shorter) by its own grid, in place.
void RoundAsymmetric(std::span<float> x, int bits, int64_t group);
void RoundSymmetric(std::span<float> x, int bits, int64_t group);

// The grid with what a file of blocks keeps of it, halves of the scale and of the least value: x' = scale
// code
// + least. It is the same grid up to the halves' rounding, and codes are those of the asymmetric grid.
struct StoredGrid {
  uint16_t scale = 0;  // float16
  uint16_t least = 0;  // float16, -zero scale

  float Value(int code) const { return F16ToF32(scale) * static_cast<float>(code) + F16ToF32(least); }
};
StoredGrid StoredGridOf(const AsymmetricGrid& grid);

}  // namespace hone
