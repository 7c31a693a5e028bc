// Trained weights as files that this engine and others run.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/tensor/dtype.h"
#include "training/language/checkpoint.h"
#include "training/language/recipe.h"

namespace hone {

// Writes `folder` as Hugging Face has it: config.json, model.safetensors in F32, the tokenizer. `weights` go
// by their Hugging Face names; others (the optimizer's) are left out. Refused by name: a weight that is
// absent or of another shape than the recipe says.
Result<void> ExportHuggingFace(const LanguageModelRecipe& recipe, std::span<const LoadedValues> weights,
                               const std::string& run_folder, const std::string& folder);

// The same weights as one GGUF file of the architecture llama: matrices in F32 or F16 as `type` says, norms
// in F32, the rows of query and key in GGUF's order for rotating neighbours. `run_folder` has the tokenizer.
Result<void> ExportGguf(const LanguageModelRecipe& recipe, std::span<const LoadedValues> weights,
                        const std::string& run_folder, DType type, const std::string& path);

}  // namespace hone
