#include "core/kernels/reference/elementwise_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hone::reference {

std::vector<double> RmsNorm(std::span<const float> x, std::span<const float> w, float epsilon) {
  double squares = 0;
  for (const double v : x) squares += v * v;
  const double factor = 1 / std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
  std::vector<double> y;
  for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] * factor * (w.empty() ? 1.0 : w[i]));
  return y;
}

std::vector<double> Rope(RopePairs pairs, std::span<const float> cos, std::span<const float> sin,
                         std::span<const float> x) {
  std::vector<double> y(x.begin(), x.end());
  for (size_t i = 0; i < cos.size(); ++i) {
    const bool halves = pairs == RopePairs::kHalves;
    const size_t first = halves ? i : 2 * i;
    const size_t second = halves ? i + cos.size() : 2 * i + 1;
    const double a = x[first];
    const double b = x[second];
    y[first] = a * cos[i] - b * sin[i];
    y[second] = a * sin[i] + b * cos[i];
  }
  return y;
}

double Silu(double x) { return x / (1 + std::exp(-x)); }

double Gelu(double x) {
  const double root_of_two_by_pi = 0.79788456080286535588;
  return 0.5 * x * (1 + std::tanh(root_of_two_by_pi * (x + 0.044715 * x * x * x)));
}

double LogSumExp(std::span<const float> x) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const double v : x) largest = std::max(largest, v);
  if (std::isinf(largest)) return largest;
  double sum = 0;
  for (const double v : x) sum += std::exp(v - largest);
  return largest + std::log(sum);
}

}  // namespace hone::reference
