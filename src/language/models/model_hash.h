// What a plan's keys say of a model: short texts that are equal where a plan part may be used.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/formats/plan/plan.h"
#include "core/formats/tokenizer/tokenizer.h"
#include "language/models/model_config.h"

namespace hone {

class Model;

// Of the family, the sizes, the windows, the scales and the rotation, as the model runs: the same for F16 and
// Q4 files of one model, another one where the context is stretched. Sixteen hexadecimal digits (XXH3).
std::string ArchitectureHash(const ModelConfig& config);
// Of every token's bytes and kind, and of the special tokens.
std::string TokenizerHash(const Tokenizer& tokenizer);
// Of the name, type, shape and bytes of every tensor of a GGUF file (all its shards) or a folder, in the
// order of their names. Reads the whole file.
Result<std::string> WeightsHash(const std::string& path);

// The value of `key` for a model that is loaded, on this processor.
Result<std::string> CurrentKey(PlanKey key, const Model& model);

}  // namespace hone
