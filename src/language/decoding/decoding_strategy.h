// DecodingStrategy: how the next tokens of one sequence come about. It never owns the loop: it proposes rows,
// is given the logits it wanted and commits, so that one step batches sequences of different strategies.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "language/decoding/token_scores.h"
#include "language/models/batch.h"
#include "language/models/runner.h"
#include "language/models/sequence.h"

namespace hone {

// Who runs a proposal's rows and how far. Proposals with equal targets are run as one batch.
struct StepTarget {
  Runner* runner = nullptr;
  int first_layer = 0;
  int last_layer = -1;  // exclusive; -1: all
  bool head = true;
  Observer* observer = nullptr;  // is given the tensors of the rows; rows with one are a batch of their own

  bool operator==(const StepTarget&) const = default;
};

struct Proposal {
  StepTarget target;
  Batch batch;  // rows numbered from 0; rows that want logits say so
};

// A token that a strategy settled on.
struct ChosenToken {
  TokenId id = kNoToken;
  std::optional<double> log_probability;  // log-softmax of the raw logits, where it was asked for
  double log_mass = 0.0;                  // likewise: log(sum(exp(raw logit))), what turns `top` to the same
  std::vector<ScoredToken> top;           // the largest raw logits, as many as were asked for
};

class DecodingStrategy {
 public:
  virtual ~DecodingStrategy() = default;

  // The sequence whose tokens the answer extends.
  virtual Sequence& sequence() = 0;
  // Rows that it would run next if there were room for all.
  virtual int64_t pending_rows() const = 0;

  // Appends the rows for the next step, at most `max_rows` (> 0); none means that it waits for a step with
  // more room.
  virtual Result<void> Propose(int64_t max_rows, Proposal& proposal) = 0;
  // The logits of row `row` of the proposal, [vocabulary] or [logit_ids]; may be written. What is decided
  // here holds from Commit on: when another sequence makes a step fail, the same proposal is run, and its
  // rows received, once more.
  virtual Result<void> Receive(int64_t row, std::span<float> logits) = 0;
  // All rows were run. Appends the tokens that were settled to `chosen` and to the sequence; none while the
  // prompt is read.
  virtual Result<void> Commit(std::vector<ChosenToken>& chosen) = 0;
  // Takes the last `tokens` committed tokens back: the answer ended before them.
  virtual void RollBack(int64_t tokens) = 0;
};

}  // namespace hone
