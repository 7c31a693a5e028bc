// Why a model runs as fast as it does here: for each operator what it must read and compute, how long the
// machine needs for that at least (the roofline), and how long it took.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "evaluation/explain/operator_work.h"
#include "evaluation/metrics/machine_probe.h"
#include "language/models/runner.h"

namespace hone {

struct OperatorCost {
  Operator op = Operator::kOther;
  OperatorWork work;
  double memory_seconds = 0.0;  // weights and KV from memory, activations from the caches
  double compute_seconds = 0.0;
  double measured_seconds = 0.0;

  // The larger of the two: time >= max(bytes / bandwidth, operations / peak).
  double predicted_seconds() const;
  bool memory_bound() const { return memory_seconds >= compute_seconds; }
};
OperatorCost Predict(Operator op, const OperatorWork& work, const MachineLimits& limits);

// One stretch of work, by operator; all numbers are of the whole stretch.
struct StageCost {
  std::string name;  // "decode", "prefill"
  StepShape shape;
  int64_t tokens = 0;               // of all sequences
  double wall_seconds = 0.0;        // of the runner's steps
  std::vector<OperatorCost> costs;  // by falling measured time

  double predicted_seconds() const;
  double measured_seconds() const;  // sum of the parts
  // What share of the wall time the operators' own times leave unexplained.
  double unaccounted() const { return 1.0 - measured_seconds() / wall_seconds; }
};

struct ExplainOptions {
  int64_t context = 512;  // entries that each sequence holds before the clock starts
  int64_t batch = 1;
  int64_t prefill = 512;  // tokens of a prompt; 0: none
  int64_t decode = 32;    // steps; 0: none
  int repeat = 3;
  std::function<void(int64_t done, int64_t total)> progress;
};

struct Explanation {
  std::string model;    // path
  std::string machine;  // see ProcessorKey
  std::string mode;     // "fast" or "exact"
  int threads = 0;
  MachineLimits limits;
  std::vector<StageCost> stages;
};

// Whether the machine gave every thread its core, within a tenth.
bool LimitsAreQuiet(const Explanation& explanation);

// Runs the model with its timers on; see MeasureSpeed for what is run.
Result<std::vector<StageCost>> MeasureStages(Runner& runner, const std::shared_ptr<PagePool>& pool,
                                             const MachineLimits& limits, const ExplainOptions& options);

// For people: limits, a table a stage, the three largest costs and what addresses them.
std::string ExplanationText(const Explanation& explanation);
// For machines: one JSON object.
std::string ExplanationJson(const Explanation& explanation);
// A picture: the roofline with a point an operator, and the shares of the time. One SVG document.
std::string ExplanationPicture(const Explanation& explanation);

}  // namespace hone
