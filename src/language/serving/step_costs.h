// How long a step takes, from a few measured ones: what a simulation and an admission decision ask
// (SPAgent's T_dec and T_hyb are Seconds of a step with decode rows only, and with prompt rows among them).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace hone {

// The rows of one step, by what their cost depends on.
struct StepLoad {
  int64_t rows = 0;
  int64_t decode_rows = 0;  // of them, those that answers run
  // Sum over decode rows of the entries that each attends to, and the same over prompt rows.
  int64_t decode_context = 0;
  int64_t prefill_context = 0;
};

struct StepCosts {
  // Seconds of a step of `rows` rows with hardly any context, by rising rows; linear between them and beyond
  // the last two.
  struct Point {
    int64_t rows = 0;
    double seconds = 0.0;
  };
  // Of rows that answers run: one of each sequence, each with logits.
  std::vector<Point> points;
  // Of rows of one prompt, which brings logits for its last row alone; empty: they cost the same. A step of
  // both costs as a prompt of its rows, and what its decode rows cost above as many prompt rows.
  std::vector<Point> prompt_points;
  double seconds_per_decode_entry = 0.0;
  double seconds_per_prefill_entry = 0.0;
  // Work done by two lanes side by side in the time of one alone: 1 where they only divide the machine.
  double paired = 1.0;

  double Seconds(const StepLoad& load) const;
};

// {"points": [[rows, seconds], ..], "prompt_points": the same, may be absent, "seconds_per_decode_entry": s,
// "seconds_per_prefill_entry": s, "paired": f}
Result<StepCosts> ParseStepCosts(const std::string& json, const std::string& file);
std::string StepCostsJson(const StepCosts& costs);

}  // namespace hone
