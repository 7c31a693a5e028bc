#include "language/serving/serving_load.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <numbers>
#include <sstream>

#include "core/base/random.h"
#include "language/serving/percentile.h"

namespace hone {
namespace {

enum Use : uint32_t { kGap = 100, kGapPart = 101, kPrompt = 102, kAnswer = 103 };

double Normal(uint64_t seed, uint64_t position, uint32_t use) {
  const double u = 1.0 - RandomUniformDouble(seed, 2 * position, use);
  const double v = RandomUniformDouble(seed, 2 * position + 1, use);
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

int64_t Length(double median, double spread, int64_t most, uint64_t seed, uint64_t position, uint32_t use) {
  const double length = median * std::exp(spread * Normal(seed, position, use));
  return std::clamp<int64_t>(static_cast<int64_t>(std::lround(length)), 1, most);
}

double Gap(const TrafficOptions& options, uint64_t position) {
  const double exponential =
      -std::log(1.0 - RandomUniformDouble(options.seed, position, kGap)) / options.rate;
  if (options.arrivals != Arrivals::kBursty) return exponential;
  // A gamma distribution of shape 1/4 has a coefficient of variation of 2. Marsaglia and Tsang's draw for
  // shape 5/4, times u^4.
  constexpr double kShape = 0.25;
  constexpr double d = kShape + 1.0 - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (uint64_t attempt = 0;; ++attempt) {
    const uint64_t at = position * 64 + attempt;
    const double x = Normal(options.seed, at, kGap);
    const double v = std::pow(1.0 + c * x, 3.0);
    if (v <= 0.0) continue;
    const double u = RandomUniformDouble(options.seed, at, kGapPart);
    if (std::log(1.0 - u) >= 0.5 * x * x + d - d * v + d * std::log(v)) continue;
    const double boost =
        std::pow(RandomUniformDouble(options.seed, at + (uint64_t{1} << 60), kGapPart), 1.0 / kShape);
    return d * v * boost / kShape / options.rate;
  }
}

// Seconds of the day and day number of "2023-11-16 18:15:46.68", or of a plain number.
std::optional<double> ParseTime(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0;
  double second = 0.0;
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "%d-%d-%d %d:%d:%lf", &year, &month, &day, &hour, &minute, &second) == 6) {
    return ((day * 24.0 + hour) * 60.0 + minute) * 60.0 + second;
  }
  double value = 0.0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc()) return std::nullopt;
  return value;
}

}  // namespace

std::vector<LoadRequest> MakeLoad(const TrafficOptions& options) {
  std::vector<LoadRequest> load;
  double at = 0.0;
  for (int64_t i = 0; i < options.requests; ++i) {
    const auto position = static_cast<uint64_t>(i);
    if (options.arrivals != Arrivals::kClosed) at += Gap(options, position);
    load.push_back({at,
                    Length(options.prompt_median, options.prompt_spread, options.most_prompt, options.seed,
                           position, kPrompt),
                    Length(options.answer_median, options.answer_spread, options.most_answer, options.seed,
                           position, kAnswer)});
  }
  return load;
}

Result<std::vector<LoadRequest>> ReadTrace(const std::string& path, const TrafficOptions& options) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return BadInput(path, "file", "cannot be read");
  const std::string content(std::istreambuf_iterator<char>(file), {});
  return ParseTrace(content, path, options);
}

Result<std::vector<LoadRequest>> ParseTrace(std::string_view content, const std::string& path,
                                            const TrafficOptions& options) {
  std::istringstream file{std::string(content)};
  std::vector<LoadRequest> load;
  std::string line;
  std::getline(file, line);
  for (int64_t number = 2; std::getline(file, line) && static_cast<int64_t>(load.size()) < options.requests;
       ++number) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty()) continue;
    const size_t first = line.find(',');
    const size_t second = line.find(',', first + 1);
    LoadRequest request;
    const auto time = ParseTime(std::string_view(line).substr(0, first));
    const auto number_at = [&](size_t begin, size_t end, int64_t& value) {
      const auto [rest, status] = std::from_chars(line.data() + begin, line.data() + end, value);
      return status == std::errc() && rest > line.data() + begin;
    };
    const bool good = first != std::string::npos && second != std::string::npos && time &&
                      number_at(first + 1, second, request.prompt_tokens) &&
                      number_at(second + 1, line.size(), request.answer_tokens);
    if (!good)
      return BadInput(path, fmt::format("line {}", number), "expected time,prompt tokens,answer tokens");
    request.at = *time;
    const auto scaled = [&](int64_t tokens, int64_t most) {
      const double length = static_cast<double>(tokens) * options.length_scale;
      return std::clamp<int64_t>(std::llround(std::min(length, 1e9)), 1, most);
    };
    request.prompt_tokens = scaled(request.prompt_tokens, options.most_prompt);
    request.answer_tokens = scaled(request.answer_tokens, options.most_answer);
    if (!load.empty() && request.at < load.back().at) request.at = load.back().at;
    load.push_back(request);
  }
  if (load.size() < 2) return BadInput(path, "lines", "found {} requests, expected at least 2", load.size());
  const double start = load.front().at;
  const double length = std::max(load.back().at - start, 1e-9);
  const double scale = static_cast<double>(load.size()) / options.rate / length;
  for (LoadRequest& request : load) request.at = (request.at - start) * scale;
  return load;
}

LoadSummary Summarize(std::span<const ServedRequestTimes> served, const ServiceObjectives& objectives) {
  LoadSummary summary;
  std::vector<double> ttft, tpot, gaps, latency;
  double first = 1e300;
  double last = 0.0;
  double tokens = 0.0;
  int64_t kept = 0;
  for (const ServedRequestTimes& request : served) {
    ++summary.requests;
    first = std::min(first, request.times.arrival);
    if (!request.done) continue;
    ++summary.done;
    last = std::max(last, request.times.last_token);
    tokens += static_cast<double>(request.answer_tokens);
    ttft.push_back(request.times.first_token - request.times.arrival);
    latency.push_back(request.times.last_token - request.times.arrival);
    const double decode = request.times.last_token - request.times.first_token;
    const double mean =
        request.answer_tokens > 1 ? decode / static_cast<double>(request.answer_tokens - 1) : 0.0;
    if (request.answer_tokens > 1) tpot.push_back(mean);
    gaps.push_back(request.longest_gap);
    if (ttft.back() <= objectives.ttft_seconds && mean <= objectives.tpot_seconds) ++kept;
  }
  summary.seconds = std::max(last - first, 1e-9);
  summary.ttft_p50 = Percentile(ttft, 0.5);
  summary.ttft_p90 = Percentile(ttft, 0.9);
  summary.ttft_p99 = Percentile(ttft, 0.99);
  summary.tpot_p50 = Percentile(tpot, 0.5);
  summary.tpot_p90 = Percentile(tpot, 0.9);
  summary.tpot_p99 = Percentile(tpot, 0.99);
  summary.gap_p99 = Percentile(gaps, 0.99);
  summary.latency_mean = Mean(latency);
  if (summary.requests > 0) {
    summary.attainment = static_cast<double>(kept) / static_cast<double>(summary.requests);
  }
  summary.goodput = static_cast<double>(kept) / summary.seconds;
  summary.tokens_per_second = tokens / summary.seconds;
  return summary;
}

Result<std::vector<ServedRequestTimes>> SimulateLoad(const StepCosts& costs, const SimulationOptions& options,
                                                     std::span<const LoadRequest> load,
                                                     const TrafficOptions& arrivals,
                                                     DispatcherState* end_state) {
  HONE_TRY(const auto scheduler, MakeScheduler(options.schedule, options.objectives));
  SimulatedMachine machine(costs, options.pool_tokens, scheduler->separate_pools());
  Dispatcher dispatcher(machine, machine, *scheduler, {options.limits, options.max_waiting});
  machine.Attach(dispatcher);
  std::vector<ServedRequestTimes> served(load.size());
  size_t next = 0;
  const bool closed = arrivals.arrivals == Arrivals::kClosed;
  const auto submit = [&](size_t i) {
    const auto id = static_cast<JobId>(i + 1);
    served[i].times.arrival = machine.Now();
    machine.Add(id, {load[i].prompt_tokens, load[i].answer_tokens});
    JobRequest request;
    request.prompt_tokens = load[i].prompt_tokens;
    request.answer_tokens = load[i].answer_tokens;
    request.tenant = load[i].tenant;
    (void)dispatcher.Submit(id, request);
  };
  machine.ended = [&](const Job& job, JobEnd end) {
    ServedRequestTimes& request = served[static_cast<size_t>(job.id - 1)];
    request = {end == JobEnd::kDone, job.answered, job.times, job.longest_gap};
    if (closed && next < load.size()) {
      const size_t i = next++;
      machine.At(machine.Now(), [&, i] { submit(i); });
    }
  };
  if (closed) {
    for (; next < std::min(load.size(), static_cast<size_t>(arrivals.clients)); ++next) {
      machine.At(0.0, [&, i = next] { submit(i); });
    }
  } else {
    for (size_t i = 0; i < load.size(); ++i) machine.At(load[i].at, [&, i] { submit(i); });
  }
  machine.Run();
  if (end_state != nullptr) *end_state = dispatcher.state();
  return served;
}

}  // namespace hone
