// Finds the fastest kernel and cut for every matrix of a model and number of rows: what `hone tune kernels`
// stores.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/memory_account.h"
#include "core/kernels/matmul_table.h"
#include "core/search/tuner.h"

namespace hone {

class Model;

struct MatmulShape {
  DType format = DType::kF32;
  int64_t rows = 0;
  int64_t columns = 0;

  auto operator<=>(const MatmulShape&) const = default;
};

// The shapes of the matrices that a forward pass multiplies with, each once, rising.
std::vector<MatmulShape> MatmulShapes(const Model& model);

struct MatmulTuningOptions {
  NumericMode mode = NumericMode::kFast;
  std::vector<int64_t> activation_rows = {1, 2, 4, 8, 16, 32, 64, 128, 512};
  // Matrices with more rows than this (heads) are not tuned for more than 64 activation rows: nobody asks for
  // more logits at once.
  int64_t most_rows_in_bulk = 20'000;
  uint64_t streamed_bytes = 96 << 20;  // of copies: more than a last-level cache keeps of a model
  double reading_seconds = 0.003;
  TunerOptions tuner;
  std::function<Result<void>(size_t done, size_t total)> progress;  // cells; an error ends the tuning
};

struct TunedMatmul {
  MatmulCell cell;  // the fastest
  double seconds = 0.0;
  MatmulChoice built_in;
  double built_in_seconds = 0.0;
  // The least of each kernel, in the order of MatmulKernel; 0 where it was not tried.
  std::array<double, 3> kernel_seconds{};
};

// One cell for each shape and number of rows. Memory for the copies is drawn from `account`.
Result<std::vector<TunedMatmul>> TuneMatmuls(std::span<const MatmulShape> shapes, ComputeShare& share,
                                             MemoryAccount& account, const MatmulTuningOptions& options);

}  // namespace hone
