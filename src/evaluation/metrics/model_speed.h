// How fast a model reads a prompt and writes an answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/base/result.h"
#include "language/models/runner.h"

namespace hone {

struct SpeedOptions {
  int64_t prefill = 512;  // tokens of a prompt that are timed; 0: none
  int64_t decode = 128;   // tokens of an answer that are timed; 0: none
  int64_t batch = 1;      // sequences side by side
  int64_t context = 0;    // tokens that every sequence holds before either is timed
  int repeat = 5;
  std::function<void(int64_t done, int64_t total)> progress;  // passes
  // Where the passes that are timed add each operator's time; null: not measured.
  OperatorTimes* prefill_times = nullptr;
  OperatorTimes* decode_times = nullptr;
};

struct Spread {
  double median = 0.0;
  double minimum = 0.0;
  double maximum = 0.0;
};
Spread SpreadOf(std::vector<double> values);

struct Speed {
  Spread prefill;  // tokens per second, all sequences together
  Spread decode;
};

// Each pass reads `prefill` random tokens on top of `context`, in steps of the runner's max_rows, with logits
// of the last one; then, again on top of `context`, it decodes greedily. One pass before warms up and is not
// counted.
Result<Speed> MeasureSpeed(Runner& runner, const std::shared_ptr<PagePool>& pool,
                           const SpeedOptions& options);

// How long one request takes each of `batch` sequences side by side: `prompt` random tokens are read, in
// steps of the runner's max_rows, then `decode` tokens are written greedily.
struct RequestSeconds {
  double prefill = 0.0;
  double decode = 0.0;
};
Result<RequestSeconds> MeasureRequest(Runner& runner, const std::shared_ptr<PagePool>& pool, int64_t batch,
                                      int64_t prompt, int64_t decode);

}  // namespace hone
