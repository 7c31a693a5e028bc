// Everything that decides how a training run comes out: the recipe is kept beside the run, and resuming reads
// it from there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "language/models/model_config.h"

namespace hone {

struct TextShare {
  std::string path;
  double share = 1.0;  // of the windows, relative to the other texts
};

// A stretch of the run with windows of one length: shorter ones first, because they cost less and teach the
// same words.
struct LengthPhase {
  double until = 1.0;  // share of the steps at which it ends
  int64_t length = 512;
};

struct LanguageModelRecipe {
  std::vector<TextShare> texts;
  double retrieval_share =
      0.0;  // of the windows: records and questions about them, made up (training/text/retrieval_text.h)
  std::string held_out;  // a text that is never trained on; empty: none
  int64_t held_out_tokens = 32768;

  int64_t vocabulary = 4096;  // control tokens included
  int layers = 12;
  int width = 256;
  int heads = 8;
  int kv_heads = 2;
  int feed_forward = 768;
  double rope_base = 100000.0;

  int64_t steps = 1000;
  int64_t batch_tokens = 4096;  // of one step
  int64_t rows = 1024;          // tokens of a part, which runs on one thread; results differ in the last bits
  std::vector<LengthPhase> lengths{{1.0, 512}};

  double learning_rate = 3e-3;  // at its highest
  double final_rate = 0.1;      // of the highest, at the end
  int64_t warmup = 100;         // steps of linear rise
  double beta1 = 0.9;
  double beta2 = 0.95;
  double weight_decay = 0.1;  // of matrices
  double clip = 1.0;          // largest norm of the whole gradient
  uint64_t seed = 1;

  int64_t context() const;               // the longest window
  int64_t LengthAt(int64_t step) const;  // of the windows of step 0, 1, ...
  double RateAt(int64_t step) const;     // linear warm-up, then a half cosine down to final_rate
  ModelConfig Config() const;
};

// Refused by field: sizes that do not divide, shares and rates out of range, phases that do not rise to 1.
Result<void> CheckRecipe(const LanguageModelRecipe& recipe);

Result<LanguageModelRecipe> ReadRecipe(const std::string& path);
Result<void> WriteRecipe(const LanguageModelRecipe& recipe, const std::string& path);
std::string RecipeJson(const LanguageModelRecipe& recipe);

}  // namespace hone
