// From a recipe's texts to tokens: the vocabulary is learned where the run has none yet.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/formats/tokenizer/tokenizer.h"
#include "training/language/recipe.h"
#include "training/text/token_mixture.h"

namespace hone {

struct TrainingData {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<TokenSource> sources;     // every document ends with <|end|>
  std::vector<TrainingToken> held_out;  // the first held_out_tokens of that text
  int64_t held_out_bytes = 0;           // that these tokens stand for
};

// Learns the vocabulary from the texts (each counted in proportion to its share of the windows) and writes it
// into `folder` unless tokenizer.json is there; reads and encodes the texts. `say` is told what goes on.
Result<TrainingData> PrepareTrainingData(const LanguageModelRecipe& recipe, const std::string& folder,
                                         const std::function<void(const std::string&)>& say);

}  // namespace hone
