#include "training/language/adamw_torch.h"

#include <torch/autograd.h>

#include <cmath>

namespace hone {

AdamWTorch::AdamWTorch(std::vector<Named> parameters, const Options& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const auto& [name, weight] : parameters_) {
    moments_.emplace_back(name + ".m", torch::zeros(weight.sizes()));
    moments_.emplace_back(name + ".v", torch::zeros(weight.sizes()));
  }
}

double AdamWTorch::Step(int64_t step, double rate) {
  torch::NoGradGuard no_gradient;
  double squares = 0.0;
  for (const auto& [name, weight] : parameters_) {
    const double norm = weight.grad().norm().item<double>();
    squares += norm * norm;
  }
  const double norm = std::sqrt(squares);
  if (std::isfinite(norm)) {
    const double scale = norm > options_.clip ? options_.clip / norm : 1.0;
    const double t = static_cast<double>(step) + 1.0;
    const double correct1 = 1.0 - std::pow(options_.beta1, t);
    const double correct2 = std::sqrt(1.0 - std::pow(options_.beta2, t));
    for (size_t i = 0; i < parameters_.size(); ++i) {
      auto weight = parameters_[i].second;
      auto gradient = weight.grad().mul_(scale);
      auto m = moments_[2 * i].second;
      auto v = moments_[2 * i + 1].second;
      m.mul_(options_.beta1).add_(gradient, 1.0 - options_.beta1);
      v.mul_(options_.beta2).addcmul_(gradient, gradient, 1.0 - options_.beta2);
      if (weight.dim() > 1) weight.mul_(1.0 - rate * options_.weight_decay);
      const auto divisor = v.sqrt().div_(correct2).add_(options_.epsilon);
      weight.addcdiv_(m, divisor, -rate / correct1);
    }
  }
  for (const auto& [name, weight] : parameters_) weight.mutable_grad().zero_();
  return norm;
}

}  // namespace hone
