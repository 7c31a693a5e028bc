// A model on its way into a GGUF file: the metadata that the file will have, and rows of its tensors as
// floats.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/formats/gguf/gguf_writer.h"
#include "core/tensor/dtype.h"
#include "language/models/model_config.h"

namespace hone {

struct SourceTensor {
  std::string name;            // as GGUF files call it
  DType type = DType::kF32;    // in the source
  std::vector<int64_t> shape;  // row-major
  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const;
};

// Safe to read from several threads.
class ModelSource {
 public:
  virtual ~ModelSource() = default;
  virtual const std::string& path() const = 0;
  virtual const ModelConfig& config() const = 0;
  // Metadata alone, without tensors.
  virtual const GgufHeader& metadata() const = 0;
  virtual std::span<const SourceTensor> tensors() const = 0;
  // What the bytes are made from: another text where a file has changed.
  virtual std::string Identity() const = 0;

  virtual void ReadRows(size_t tensor, int64_t begin, int64_t count, float* out) const = 0;
  // The rows as they lie in the source; empty where they have to be computed.
  virtual std::span<const std::byte> RawRows(size_t tensor, int64_t begin, int64_t count) const = 0;
  // The rows will not be read again.
  virtual void Drop(size_t tensor, int64_t begin, int64_t count) const = 0;
};

// A GGUF file (any shard of a split set) or a Hugging Face folder of a family that hone runs. Errors name the
// file and the field. `scratch` names a file that may be written, and is removed, while a folder's vocabulary
// is checked; empty: one beside the folder.
Result<std::unique_ptr<ModelSource>> OpenModelSource(const std::string& path,
                                                     const std::string& scratch = {});

}  // namespace hone
