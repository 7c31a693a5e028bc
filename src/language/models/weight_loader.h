// Reads the named weights of one model from a GGUF file or a Hugging Face folder and packs them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/memory_account.h"
#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/formats/gguf/gguf_file.h"
#include "core/kernels/matmul.h"
#include "language/models/mixed_plan.h"
#include "language/models/model.h"
#include "language/models/weight_source.h"

namespace hone {

class WeightLoader {
 public:
  // Matrices that `mixed` has stand in the place of the source's.
  WeightLoader(const WeightSource& source, MemoryAccount& account, ComputeShare& share, bool progress,
               const MixedTensors& mixed);

  bool Has(std::string_view name) const { return source_.Find(name) != nullptr; }
  // NAME.weight [rows, columns] and, where the source has it, NAME.bias [rows]. The file's pages are given
  // back as soon as they are packed.
  Result<Linear> Matrix(const std::string& name, int64_t rows, int64_t columns);
  // A vector of `size` float32 values; `offset` is added to each.
  Result<std::vector<float>> Vector(const std::string& name, int64_t size, float offset = 0.0f);
  // The same, empty where the source has none.
  Result<std::vector<float>> OptionalVector(const std::string& name, int64_t size, float offset = 0.0f);

  const WeightSource& source() const { return source_; }
  std::vector<Buffer> TakeStorage() { return std::move(storage_); }
  // The largest |gain| of a layer's query norm times that of its key norm, where heads are normed: what
  // bounds the layer's scores. Layers in order; empty: no norms.
  void NoteHeadNorms(float gains) { head_norms_.push_back(gains); }
  std::vector<float> TakeHeadNorms() { return std::move(head_norms_); }
  std::vector<std::unique_ptr<WeightFormat>> TakeFormats() { return std::move(formats_); }
  // Fails where `mixed` held a matrix that no one asked for.
  Result<void> CheckAllUsed() const;
  std::vector<WeightInfo> TakeWeights() { return std::move(weights_); }

 private:
  Result<Linear> MixedMatrix(const std::string& name, int64_t rows, int64_t columns,
                             const MixedTensor& mixed);

  const WeightSource& source_;
  MemoryAccount& account_;
  ComputeShare& share_;
  std::unique_ptr<Progress> progress_;
  uint64_t bytes_done_ = 0;
  const MixedTensors& mixed_;
  std::vector<std::string> mixed_used_;
  std::vector<Buffer> storage_;
  std::vector<std::unique_ptr<WeightFormat>> formats_;
  std::vector<WeightInfo> weights_;
  std::vector<float> head_norms_;
};

}  // namespace hone
