// The metadata of a GGUF file that describe a model's shape. Keys:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/formats/gguf/gguf_writer.h"
#include "language/models/model_config.h"

namespace hone {

// general.architecture, general.name and the keys of the family. `path` is for errors: what the family's
// files cannot say is refused by its field.
Result<void> SetModelKeys(const ModelConfig& config, const std::string& path, GgufHeader& header);

// Vectors that a file carries for its rotation: "rope_freqs.weight" (Llama 3), "rope_factors_long.weight" and
// "rope_factors_short.weight" (LongRoPE).
struct RopeVector {
  std::string name;
  std::vector<float> values;
};
std::vector<RopeVector> RopeVectors(const ModelConfig& config);

}  // namespace hone
