// What a model is asked and how its answer counts. Every task is likelihoods of texts after texts, so that
// one scorer serves all and a setting that breaks a model gives a bad score, never an answer that cannot be
// read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

struct EvalItem {
  std::string context;  // may be empty
  std::vector<std::string>
      choices;   // continuations; one unless the task is multiple choice; a dialogue's turns
  int gold = 0;  // the right one
};

enum class EvalKind : uint8_t {
  kLikelihood,  // mean negative log-likelihood of the continuation, nats a token; lower is better
  kExact,       // whether every token of the continuation is the likeliest: what greedy decoding would write
  kChoice,      // whether the right choice is the likeliest
  kDialogue,    // how likely the reference model finds the greedy answers to the turns, nats a token
};

inline bool LowerIsBetter(EvalKind kind) {
  return kind == EvalKind::kLikelihood || kind == EvalKind::kDialogue;
}

struct EvalTask {
  std::string name;
  std::string definition;  // one line: what is scored, on what
  EvalKind kind = EvalKind::kLikelihood;
  std::vector<EvalItem> items;
};

// The built-in tasks, made of a text of articles or of GSM8K's lines. Those that draw do so from `seed`.
// Errors: a text with too little in it (kBadInput, with what was found and what is needed), by `name`.
struct TaskSource {
  std::string name;  // of the file, for errors
  std::string_view text;
  int64_t items = 200;
  uint64_t seed = 1;
};

// Pieces of about 1,200 characters that begin with a line, each scored from its first token on.
Result<EvalTask> MakePerplexityTask(const TaskSource& source);
// The last word of a sentence after the lines before it (some 400 characters).
Result<EvalTask> MakeClozeTask(const TaskSource& source);
// How a sentence goes on after its first half: its own second half among three of other places, of like
// length.
Result<EvalTask> MakeChoiceTask(const TaskSource& source);
// The gold solution of a GSM8K problem after its question.
Result<EvalTask> MakeArithmeticTask(const TaskSource& source);
// What users ask in two turns: JSON lines with "turns", a list of texts, as MT-Bench has them; without a text
// sixteen built-in ones. Without a judge, an answer is measured by how likely the unquantized model finds it
// and by how much it repeats itself.
Result<EvalTask> MakeDialogueTask(const TaskSource& source);
// The value of one of `lines` records (training/text/retrieval_text.h) after all of them.
EvalTask MakeRetrievalTask(int64_t lines, int64_t items, uint64_t seed);

// A task file in the manner of lm-evaluation-harness: FILE.jsonl, one object a line, and beside it
// FILE.task.json with
//   {"doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_choice": "choices" or ["yes", "no"],
//   "doc_to_target": "answer",
//    "target_delimiter": " ", "output_type": "multiple_choice" or "loglikelihood"}
// {{name}} is the object's member of that name; doc_to_target names the member with the index of the right
// choice, or, for loglikelihood, is a template of the continuation. Refused: a member that is absent (by
// line), anything else between braces. The first `items` lines are taken.
Result<EvalTask> ReadTaskFile(const std::string& path, int64_t items = 1 << 30);

}  // namespace hone
