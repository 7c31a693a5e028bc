// The functions of core/kernels/elementwise.h in float64, value by value.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/kernels/elementwise.h"

namespace hone::reference {

std::vector<double> RmsNorm(std::span<const float> x, std::span<const float> w, float epsilon);
std::vector<double> Rope(RopePairs pairs, std::span<const float> cos, std::span<const float> sin,
                         std::span<const float> x);
double Silu(double x);
double Gelu(double x);
double LogSumExp(std::span<const float> x);

}  // namespace hone::reference
