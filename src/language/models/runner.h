// Runner: device, compute share, scratch and numeric mode; runs a batch of rows of any sequences through a
// model. One thread uses a runner at a time; any number of runners share a model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/function_ref.h"
#include "core/kernels/attention.h"
#include "core/kernels/matmul_table.h"
#include "language/models/batch.h"
#include "language/models/hooks.h"
#include "language/models/model.h"
#include "language/models/operators.h"

namespace hone {

// What a runner's rows may take beside weights and caches, logits and attention apart.
inline constexpr uint64_t kScratchBytes = 40 << 20;

struct RunnerOptions {
  std::string device = "cpu";  // whose kernels the runner calls, see FindKernels
  NumericMode mode = NumericMode::kFast;
  double weight = 1.0;  // of its compute share
  // Of one batch; scratch is sized for it. A runner takes fewer (a multiple of 64) where they would need more
  // than kScratchBytes: options() says how many. The bits do not depend on it.
  int64_t max_rows = 512;
  std::shared_ptr<const MatmulTable> matmul_table;  // null: what is built in
  // What each layer and KV head subtracts in its softmax, [layers][kv_heads]; empty: the running maximum.
  std::vector<std::vector<SoftmaxScale>> softmax;
};

// What to run: all layers from the embedding to the head unless narrowed.
struct RunOptions {
  int first_layer = 0;
  int last_layer = -1;  // exclusive; -1: all
  bool head = true;
  std::span<RowHook* const> hooks;
  std::span<Observer* const> observers;
  OperatorTimes* times = nullptr;  // where the step adds the time of each operator; null: not measured
};

// Called for every row that wants logits, in row order; `logits` has one value a token of the vocabulary (or
// of batch.logit_ids) and may be written.
using LogitsSink = FunctionRef<void(int64_t batch_row, std::span<float> logits)>;

struct RunnerCounters {
  int64_t steps = 0;
  int64_t rows = 0;
  std::vector<AttentionCounters> attention;  // by layer

  AttentionCounters AllLayers() const {
    AttentionCounters all;
    for (const AttentionCounters& layer : attention) all.Add(layer);
    return all;
  }
};

class Runner {
 public:
  static Result<std::unique_ptr<Runner>> Create(std::shared_ptr<const Model> model, Engine& engine,
                                                const RunnerOptions& options = {});
  ~Runner();

  const Model& model() const;
  const RunnerOptions& options() const;

  // One forward pass. Cache pages for all rows are reserved first, all or none; after an error the caches are
  // as before. A row of the batch that is too many, a token outside the vocabulary or a NaN in a layer is an
  // error.
  Result<void> Run(const Batch& batch, LogitsSink sink, const RunOptions& options = {});

  const RunnerCounters& counters() const;

  // Of its compute share, from the next task on; may be called from any thread, also while it runs.
  void SetWeight(double weight);

 private:
  class Impl;
  explicit Runner(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
