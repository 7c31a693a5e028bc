// What a model answers in dialogues, by greedy decoding.
#pragma once

#include <span>
#include <vector>

#include "core/base/result.h"
#include "evaluation/runner/likelihood.h"
#include "evaluation/tasks/eval_task.h"

namespace hone {

inline constexpr int64_t kAnswerTokens = 48;  // of an answer, at most

// The answers to every turn of every item, in order: the prompt (by the model's chat template, else
// "Question:
// ... Answer:") and what the model says to it, the end token included. Earlier answers are part of the later
// prompts. A prompt that leaves no room in the model's context loses its left end.
Result<std::vector<LikelihoodRequest>> AnswerDialogues(const Reader& reader, const EvalTask& task,
                                                       const LikelihoodOptions& options);

// Share of runs of four tokens that stood in the text before; 0 of fewer than five tokens.
double RepetitionRate(std::span<const TokenId> tokens);

}  // namespace hone
