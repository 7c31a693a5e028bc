// hone bench serve MODEL: how well a server keeps its promises under load, by schedule.
// hone simulate serving: the same in virtual time, from a table of step costs.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/text_input.h"
#include "core/kernels/cpu/cpu_target.h"
#include "language/serving/measure_costs.h"
#include "language/serving/serving_load.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct LoadFlags {
  TrafficOptions load;
  std::string arrivals = "poisson";
  std::string trace;
  std::vector<double> rates = {1.0};
  std::vector<std::string> schedules = {"semi-pd"};
  double ttft_ms = 500.0;
  double tpot_ms = 50.0;
  int64_t batch = 64;
  int64_t step_rows = 512;
  std::string svg;
  bool json = false;

  ServiceObjectives objectives() const { return {ttft_ms / 1e3, tpot_ms / 1e3, 0.9}; }
};

void AddLoadFlags(CLI::App& app, LoadFlags& flags) {
  app.add_option("--arrivals", flags.arrivals, "poisson, bursty or closed (default poisson)")
      ->check(CLI::IsMember({"poisson", "bursty", "closed"}));
  app.add_option("--trace", flags.trace,
                 "CSV of time, prompt tokens, answer tokens, in the place of drawn requests");
  app.add_option("--rate", flags.rates, "Requests a second; several, separated by commas")->delimiter(',');
  app.add_option("--clients", flags.load.clients, "Clients of closed arrivals")->check(CLI::Range(1, 100000));
  app.add_option("--requests", flags.load.requests, "Requests of one run")->check(CLI::Range(1, 10000000));
  app.add_option("--prompt", flags.load.prompt_median, "Median tokens of a prompt")
      ->check(CLI::PositiveNumber);
  app.add_option("--prompt-spread", flags.load.prompt_spread, "Standard deviation of their logarithm");
  app.add_option("--answer", flags.load.answer_median, "Median tokens of an answer")
      ->check(CLI::PositiveNumber);
  app.add_option("--answer-spread", flags.load.answer_spread, "Standard deviation of their logarithm");
  app.add_option("--most-prompt", flags.load.most_prompt, "Longer prompts are cut")
      ->check(CLI::PositiveNumber);
  app.add_option("--most-answer", flags.load.most_answer, "Longer answers are cut")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", flags.load.seed, "Of arrivals, lengths and prompts");
  app.add_option("--schedule", flags.schedules,
                 "prefill-first, chunked:N, static:X:Y, semi-pd, disaggregated; several, separated by commas")
      ->delimiter(',');
  app.add_option("--ttft", flags.ttft_ms, "Objective: milliseconds to the first token")
      ->check(CLI::PositiveNumber);
  app.add_option("--tpot", flags.tpot_ms, "Objective: milliseconds a token after it")
      ->check(CLI::PositiveNumber);
  app.add_option("--batch", flags.batch, "Most answers written at once")->check(CLI::Range(1, 4096));
  app.add_option("--chunk", flags.step_rows, "Most rows of one forward pass")->check(CLI::Range(1, 1 << 16));
  app.add_option("--svg", flags.svg, "Draw attainment against rate with gnuplot");
  app.add_flag("--json", flags.json, "Write one JSON object");
}

// Commas separate schedules, so shares are written with a colon here.
std::string ScheduleName(std::string name) {
  const size_t second = name.rfind(':');
  if (name.starts_with("static:") && second != name.find(':')) name[second] = ',';
  return name;
}

Arrivals ArrivalsOf(const LoadFlags& flags) {
  if (flags.arrivals == "closed") return Arrivals::kClosed;
  return flags.arrivals == "bursty" ? Arrivals::kBursty : Arrivals::kPoisson;
}

Result<std::vector<LoadRequest>> Requests(const LoadFlags& flags, double rate) {
  TrafficOptions options = flags.load;
  options.rate = rate;
  options.arrivals = ArrivalsOf(flags);
  if (!flags.trace.empty()) return ReadTrace(flags.trace, options);
  return MakeLoad(options);
}

struct Row {
  std::string schedule;
  double rate = 0.0;
  LoadSummary summary;
};

Json RowJson(const Row& row) {
  const LoadSummary& s = row.summary;
  return {{"schedule", row.schedule},
          {"rate", row.rate},
          {"requests", s.requests},
          {"done", s.done},
          {"seconds", s.seconds},
          {"ttft_seconds", {{"p50", s.ttft_p50}, {"p90", s.ttft_p90}, {"p99", s.ttft_p99}}},
          {"tpot_seconds", {{"p50", s.tpot_p50}, {"p90", s.tpot_p90}, {"p99", s.tpot_p99}}},
          {"longest_gap_p99_seconds", s.gap_p99},
          {"latency_mean_seconds", s.latency_mean},
          {"attainment", s.attainment},
          {"goodput", s.goodput},
          {"tokens_per_second", s.tokens_per_second}};
}

void PrintHeader() {
  fmt::print("{:<16} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "schedule", "rate/s",
             "ttft p50", "ttft p90", "tpot p50", "tpot p90", "gap p99", "attain", "good/s", "tokens/s");
}
void PrintRow(const Row& row) {
  const LoadSummary& s = row.summary;
  fmt::print("{:<16} {:>7.2f} {:>8.3f} {:>8.3f} {:>8.4f} {:>8.4f} {:>8.3f} {:>7.1f}% {:>8.2f} {:>8.1f}\n",
             row.schedule, row.rate, s.ttft_p50, s.ttft_p90, s.tpot_p50, s.tpot_p90, s.gap_p99,
             100.0 * s.attainment, s.goodput, s.tokens_per_second);
  std::fflush(stdout);
}

Result<void> Draw(const LoadFlags& flags, const std::vector<Row>& rows) {
  std::FILE* gnuplot = popen("gnuplot", "w");
  if (gnuplot == nullptr) return Failed("--svg: gnuplot cannot be started");
  std::string script = fmt::format(
      "set terminal svg size 720,440 dynamic\nset output '{}'\nset xlabel 'requests a second'\n"
      "set ylabel 'requests that kept both objectives (%)'\nset yrange [0:102]\nset key below\nset "
      "grid\nplot ",
      flags.svg);
  std::string data;
  for (size_t i = 0; i < flags.schedules.size(); ++i) {
    const std::string name = ScheduleName(flags.schedules[i]);
    script += fmt::format("{}'-' with linespoints lw 2 title '{}'", i == 0 ? "" : ", ", name);
    for (const Row& row : rows) {
      if (row.schedule == name) data += fmt::format("{} {}\n", row.rate, 100.0 * row.summary.attainment);
    }
    data += "e\n";
  }
  fmt::print(gnuplot, "{}\n{}", script, data);
  if (pclose(gnuplot) != 0) return Failed("--svg: gnuplot failed; is it installed?");
  return {};
}

template <class RunOne>
Result<void> Sweep(const LoadFlags& flags, Json extra, RunOne run) {
  std::vector<Row> rows;
  if (!flags.json) PrintHeader();
  for (const double rate : flags.rates) {
    HONE_TRY(const auto load, Requests(flags, rate));
    for (const std::string& typed : flags.schedules) {
      const std::string schedule = ScheduleName(typed);
      HONE_TRY(const auto served, run(schedule, load));
      rows.push_back({schedule, rate, Summarize(served, flags.objectives())});
      if (!flags.json) PrintRow(rows.back());
    }
  }
  if (flags.json) {
    extra["runs"] = Json::array();
    for (const Row& row : rows) extra["runs"].push_back(RowJson(row));
    fmt::print("{}\n", extra.dump(2));
  }
  return flags.svg.empty() ? Result<void>() : Draw(flags, rows);
}

struct BenchOptions {
  ModelOptions model;
  LoadFlags load;
};

Result<std::vector<ServedRequestTimes>> RunSchedule(const BenchOptions& options,
                                                    const std::shared_ptr<Engine>& engine,
                                                    const std::shared_ptr<const Model>& model,
                                                    const std::string& schedule,
                                                    const std::vector<LoadRequest>& load,
                                                    const std::atomic<bool>& cancel) {
  ServingOptions serving;
  serving.schedule = schedule;
  serving.objectives = options.load.objectives();
  serving.mode = options.model.exact ? NumericMode::kExact : NumericMode::kFast;
  serving.batch = options.load.batch;
  serving.step_rows = options.load.step_rows;
  serving.max_waiting = static_cast<int64_t>(load.size());
  serving.prefix_cache = false;  // every prompt is new; what one schedule left must not help the next
  HONE_TRY(const auto running, ServingEngine::Create(engine, model, serving));
  TrafficOptions traffic = options.load.load;
  traffic.arrivals = ArrivalsOf(options.load);
  return PlayLoad(*running, load, traffic, &cancel);
}

Result<void> Bench(const BenchOptions& options) {
  HONE_CHECK_OK(InitCpuTarget());
  HONE_TRY(const std::string path, FindModel(options.model));
  MemoryLimits limits;
  if (options.model.kv_limit > 0) limits.kv = options.model.kv_limit;
  const auto engine = std::make_shared<Engine>(options.model.ThreadCount(), limits);
  LoadOptions loading;
  loading.progress = true;
  HONE_TRY(const auto model, LoadModel(path, *engine, loading));
  const std::atomic<bool>& cancel = CatchInterrupts();
  return Sweep(options.load, {{"model", options.model.model}, {"threads", options.model.ThreadCount()}},
               [&](const std::string& schedule, const std::vector<LoadRequest>& load) {
                 return RunSchedule(options, engine, model, schedule, load, cancel);
               });
}

struct SimulateOptions {
  ModelOptions model;
  LoadFlags load;
  std::string costs;
  std::string write_costs;
  int64_t pool_tokens = 1 << 20;
  int64_t replicas = 1;
};

Result<StepCosts> Costs(const SimulateOptions& options) {
  if (!options.costs.empty()) {
    HONE_TRY(const std::string text, ReadText(options.costs));
    return ParseStepCosts(text, options.costs);
  }
  if (options.model.model.empty())
    return WrongUsage("simulate serving: expected MODEL to measure, or --costs FILE");
  HONE_CHECK_OK(InitCpuTarget());
  HONE_TRY(const std::string path, FindModel(options.model));
  Engine engine(options.model.ThreadCount());
  LoadOptions loading;
  loading.progress = true;
  HONE_TRY(const auto model, LoadModel(path, engine, loading));
  const NumericMode mode = options.model.exact ? NumericMode::kExact : NumericMode::kFast;
  return MeasureStepCosts(model, engine, mode, options.load.step_rows);
}

// Requests are dealt to replicas in turns, as a load balancer does.
Result<std::vector<ServedRequestTimes>> SimulateReplicas(const SimulateOptions& options,
                                                         const StepCosts& costs, const std::string& schedule,
                                                         const std::vector<LoadRequest>& load) {
  SimulationOptions simulation;
  simulation.schedule = schedule;
  simulation.objectives = options.load.objectives();
  simulation.limits = {.step_rows = options.load.step_rows, .batch = options.load.batch};
  simulation.pool_tokens = options.pool_tokens;
  TrafficOptions traffic = options.load.load;
  traffic.arrivals = ArrivalsOf(options.load);
  std::vector<ServedRequestTimes> all;
  for (int64_t replica = 0; replica < options.replicas; ++replica) {
    std::vector<LoadRequest> part;
    for (size_t i = static_cast<size_t>(replica); i < load.size();
         i += static_cast<size_t>(options.replicas)) {
      part.push_back(load[i]);
    }
    HONE_TRY(const auto served, SimulateLoad(costs, simulation, part, traffic));
    all.insert(all.end(), served.begin(), served.end());
  }
  return all;
}

Result<void> Simulate(const SimulateOptions& options) {
  HONE_TRY(const StepCosts costs, Costs(options));
  if (!options.write_costs.empty()) {
    std::FILE* file = std::fopen(options.write_costs.c_str(), "w");
    if (file == nullptr) return Failed("{}: cannot be written", options.write_costs);
    fmt::print(file, "{}\n", StepCostsJson(costs));
    std::fclose(file);
  }
  return Sweep(options.load, {{"replicas", options.replicas}, {"costs", Json::parse(StepCostsJson(costs))}},
               [&](const std::string& schedule, const std::vector<LoadRequest>& load) {
                 return SimulateReplicas(options, costs, schedule, load);
               });
}

}  // namespace

Action AddBenchServe(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  AddModelOptions(app, options->model);
  AddLoadFlags(app, options->load);
  return [options] { return Bench(*options); };
}

Action AddSimulate(CLI::App& app) {
  const auto options = std::make_shared<SimulateOptions>();
  CLI::App* serving =
      app.add_subcommand("serving", "A server's schedules in virtual time, on one machine or many");
  AddModelOptions(*serving, options->model);
  serving->get_option("MODEL")->required(false);
  AddLoadFlags(*serving, options->load);
  serving->add_option("--costs", options->costs,
                      "Step costs measured before, in the place of measuring MODEL");
  serving->add_option("--write-costs", options->write_costs, "Keep the measured step costs in this file");
  serving->add_option("--pool-tokens", options->pool_tokens, "Cache entries that one machine holds")
      ->check(CLI::PositiveNumber);
  serving->add_option("--replicas", options->replicas, "Machines behind a load balancer")
      ->check(CLI::Range(1, 100000));
  app.require_subcommand(1);
  return [options] { return Simulate(*options); };
}

}  // namespace hone
