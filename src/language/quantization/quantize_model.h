// A model file with its matrices in another type, row by row: memory stays within some megabytes whatever the
// model's size, all threads work, and a process that was killed is followed by one that goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/result.h"
#include "core/kernels/quantize/quantize.h"
#include "language/conversion/model_source.h"
#include "language/quantization/importance.h"
#include "language/quantization/type_mix.h"

namespace hone {

// Takes the place of QuantizeRows for whole matrices.
class MatrixQuantizer {
 public:
  virtual ~MatrixQuantizer() = default;
  // Called before the rows of a tensor; false: it is left to QuantizeRows.
  virtual Result<bool> Prepare(const SourceTensor& tensor, DType type, ComputeShare& share) = 0;
  // Rows of the tensor that was prepared; called from several threads.
  virtual void Quantize(DType type, const float* x, int64_t rows, int64_t columns, std::byte* out) const = 0;
};

struct QuantizeOptions {
  TypeMix mix;
  std::string method = "search";  // as the metadata tell it
  Rounding rounding = Rounding::kSearch;
  const Importance* importance = nullptr;  // what kSearch weighs errors with
  bool importance_comes = false;           // after planning: it is not asked for there
  MatrixQuantizer* matrices = nullptr;
  std::string key;  // what else the bytes depend on, so that no other work is gone on with
  ForcedTypes forced;
  bool uniform = false;           // all matrices in the mix's base type
  bool no_substitutes = false;    // rows that do not fit their type are an error
  bool allow_requantize = false;  // of a matrix that is quantized already
  // Told the tensor bytes written and their total.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

struct Substitute {
  std::string name;
  int64_t columns = 0;
  DType wanted = DType::kF32;
  DType type = DType::kF32;
};

// What will be written: known before any work.
struct QuantizePlan {
  std::vector<TypeChoice> choices;  // one a tensor
  std::vector<Substitute> substitutes;
  std::vector<std::string> requantized;  // tensors that were quantized already
  uint64_t source_bytes = 0;
  uint64_t bytes = 0;  // of all tensors
  int64_t weights = 0;
  double bits_per_weight() const { return 8.0 * static_cast<double>(bytes) / static_cast<double>(weights); }
};

struct QuantizeReport {
  QuantizePlan plan;
  int64_t out_of_range = 0;  // finite values beyond those of F16, which became the largest ones
  uint64_t resumed = 0;      // bytes that an earlier process had written
};

// Refused, by the tensor's name: substitutes where they are not allowed, a matrix that is quantized already
// without consent, a forced type that does not fit, a matrix without importance where the mix Q2_K_S asks for
// it.
Result<QuantizePlan> PlanQuantization(const ModelSource& source, const QuantizeOptions& options);

// Writes `to`, one GGUF file. The metadata are the source's and general.file_type,
// general.quantization_version, hone.quantize.method, .bits_per_weight, .substitutes ("NAME: Q4_K -> Q5_0")
// and .requantized_from ("Q4_1"). Errors: those of PlanQuantization, a value that is not finite (by its
// tensor, row and column), a failed write. What `to` was stays untouched until the new file is whole.
Result<QuantizeReport> QuantizeModel(const ModelSource& source, const QuantizeOptions& options,
                                     const std::string& to, ComputeShare& share);

}  // namespace hone
