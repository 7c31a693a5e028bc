// Requests as they come to a server, and how well they were served: for measuring real servers and for
// simulating them, by the same numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "language/serving/serving_engine.h"
#include "language/serving/simulated_machine.h"

namespace hone {

struct LoadRequest {
  double at = 0.0;  // seconds from the start
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;
  std::string tenant = {};
};

enum class Arrivals : uint8_t {
  kPoisson,  // independent
  kBursty,   // gaps from a gamma distribution with a coefficient of variation of 2
  kClosed,   // `clients` that each ask again when they are answered
};

struct TrafficOptions {
  Arrivals arrivals = Arrivals::kPoisson;
  double rate = 1.0;  // requests a second
  int64_t clients = 4;
  int64_t requests = 100;
  // Log-normal lengths: median and spread of the logarithm; cut to what fits the context.
  double prompt_median = 120.0;
  double prompt_spread = 0.6;
  double answer_median = 60.0;
  double answer_spread = 0.6;
  int64_t most_prompt = 512;
  int64_t most_answer = 128;
  uint64_t seed = 1;
  double length_scale = 1.0;  // of a trace's lengths, before they are clipped
};

std::vector<LoadRequest> MakeLoad(const TrafficOptions& options);

// A recorded trace: CSV with a header and the columns time, prompt tokens, answer tokens; times as seconds or
// as "2023-11-16 18:15:46.6805900" (the form of Azure's public traces). Scaled to `options.rate` on the
// average, clipped to its lengths, at most options.requests.
Result<std::vector<LoadRequest>> ReadTrace(const std::string& file, const TrafficOptions& options);
// The same of a file's content, `name` in errors.
Result<std::vector<LoadRequest>> ParseTrace(std::string_view content, const std::string& name,
                                            const TrafficOptions& options);

struct ServedRequestTimes {
  bool done = false;  // else refused or ended early
  int64_t answer_tokens = 0;
  JobTimes times;
  double longest_gap = 0.0;  // between two of its tokens
  uint64_t tokens_hash = 0;  // of what was written, by a model
};

struct LoadSummary {
  int64_t requests = 0;
  int64_t done = 0;
  double seconds = 0.0;  // from the first arrival to the last token
  double ttft_p50 = 0.0, ttft_p90 = 0.0, ttft_p99 = 0.0;
  double tpot_p50 = 0.0, tpot_p90 = 0.0, tpot_p99 = 0.0;  // mean of a request's gaps
  double gap_p99 = 0.0;                                   // of requests' longest gaps
  double latency_mean = 0.0;                              // arrival to last token
  double attainment = 0.0;                                // of all requests, those that kept both objectives
  double goodput = 0.0;                                   // requests a second that did
  double tokens_per_second = 0.0;                         // written
  int64_t preemptions = 0;
};
LoadSummary Summarize(std::span<const ServedRequestTimes> served, const ServiceObjectives& objectives);

// Plays the load to an engine, in real time; prompts are arbitrary tokens, answers do not stop at end tokens.
Result<std::vector<ServedRequestTimes>> PlayLoad(ServingEngine& engine, std::span<const LoadRequest> load,
                                                 const TrafficOptions& options,
                                                 const std::atomic<bool>* cancel = nullptr);

// The same in virtual time.
struct SimulationOptions {
  std::string schedule = "semi-pd";
  ServiceObjectives objectives;
  SchedulerLimits limits;
  int64_t max_waiting = 1 << 20;
  int64_t pool_tokens = 1 << 20;
};
Result<std::vector<ServedRequestTimes>> SimulateLoad(const StepCosts& costs, const SimulationOptions& options,
                                                     std::span<const LoadRequest> load,
                                                     const TrafficOptions& arrivals,
                                                     DispatcherState* end = nullptr);

}  // namespace hone
