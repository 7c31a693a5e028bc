// Trains a small Llama from text: the loop, its checkpoints and its log.
#pragma once

#include "core/base/result.h"
#include "training/language/loss_log.h"
#include "training/language/training_run.h"

namespace hone {

// Begins a run, or goes on from its newest good checkpoint: window for window, rate for rate and bit for bit
// (same threads) as if it had never stopped. Saves a checkpoint every checkpoint_seconds, when cancelled, and
// at the end. Errors: a folder that holds another run, texts that cannot be read, a loss that is not finite
// (with its step; the checkpoint stays).
Result<LossLog> TrainLanguageModel(const TrainingRun& run);

}  // namespace hone
