// The families that can be run, one file each.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "language/models/model.h"
#include "language/models/weight_loader.h"

namespace hone {

struct Family {
  std::string_view name;
  // The layers; what all families share (embedding, head, tokenizer) is filled in by the caller.
  Result<std::unique_ptr<Model>> (*load)(const ModelConfig& config, WeightLoader& loader);
};

Result<std::unique_ptr<Model>> LoadLlama(const ModelConfig& config, WeightLoader& loader);
Result<std::unique_ptr<Model>> LoadQwen2(const ModelConfig& config, WeightLoader& loader);
Result<std::unique_ptr<Model>> LoadQwen3(const ModelConfig& config, WeightLoader& loader);
Result<std::unique_ptr<Model>> LoadGemma3(const ModelConfig& config, WeightLoader& loader);
Result<std::unique_ptr<Model>> LoadPhi3(const ModelConfig& config, WeightLoader& loader);

std::span<const Family> Families();

}  // namespace hone
