// AdamW (Loshchilov, Hutter 2019, arXiv 1711.05101, algorithm 2) with the gradient clipped by its norm.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hone {

class AdamWTorch {
 public:
  struct Options {
    double beta1 = 0.9;
    double beta2 = 0.95;
    double epsilon = 1e-8;
    double weight_decay = 0.1;  // of tensors with two or more dimensions
    double clip = 1.0;          // largest norm of the gradient of all tensors together
  };
  using Named = std::pair<std::string, torch::Tensor>;

  AdamWTorch(std::vector<Named> parameters, const Options& options);

  // m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
  // w = w - rate (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay w), with t = step
  // + 1. The gradients are cleared. Returns their norm before clipping; where it is not finite nothing is
  // changed.
  double Step(int64_t step, double rate);

  // The moments, as "NAME.m" and "NAME.v".
  const std::vector<Named>& moments() const { return moments_; }

 private:
  std::vector<Named> parameters_;
  std::vector<Named> moments_;  // m, v of each parameter in turn
  Options options_;
};

}  // namespace hone
