// What a training run is asked to do; training itself is in lm_training_torch.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "training/language/loss_log.h"
#include "training/language/recipe.h"

namespace hone {

struct TrainingRun {
  std::string folder;                         // recipe, tokenizer, checkpoints, log
  std::optional<LanguageModelRecipe> recipe;  // of a new run; absent: that of the folder
  std::optional<int64_t> more_steps;          // of a run that goes on: its new number of steps
  int threads = 1;
  double checkpoint_seconds = 300.0;
  int64_t held_out_every = 50;  // steps
  int64_t stop_after = -1;      // steps of this call; -1: to the end
  std::function<void(const std::string&)> say;
  std::function<void(const LossLine&, int64_t steps)> after_step;
  const std::atomic<bool>* cancel = nullptr;
};

}  // namespace hone
