// The flags of `hone train lm`, which `hone` checks and `hone-torch` runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "training/language/training_run.h"

namespace CLI {
class App;
}

namespace hone {

struct TrainOptions {
  std::string folder;
  std::vector<std::string> texts;    // FILE or FILE=SHARE
  std::vector<std::string> lengths;  // LENGTH or LENGTH:UNTIL
  LanguageModelRecipe recipe;
  int threads = 0;
  double checkpoint_seconds = 300.0;
  int64_t held_out_every = 50;
};

void AddTrainOptions(CLI::App& app, TrainOptions& options);

// Errors (kUsage) name the flag.
Result<TrainingRun> MakeTrainingRun(const CLI::App& app, const TrainOptions& options);

}  // namespace hone
