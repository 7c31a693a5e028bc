// hone bench MODEL: how fast a model runs here, beside what the machine's memory allows.
// hone bench serve: schedules under load, in cli/bench_serve.cc.
// hone bench kernels: every kernel beside its limit, in cli/bench_kernels.cc.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/open_session.h"
#include "core/base/progress.h"
#include "core/kernels/cpu/cpu_target.h"
#include "evaluation/metrics/machine_probe.h"
#include "evaluation/metrics/model_speed.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  std::vector<int64_t> prefill = {512};
  std::vector<int> threads;
  SpeedOptions speed;
  bool json = false;
};

// Below this share of the asked cores the figures are the neighbours' as much as the program's.
constexpr double kEnoughCores = 0.9;
constexpr int64_t kStepRows = 512;

Json SpreadJson(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.minimum}, {"max", spread.maximum}};
}

Json AccountJson(const MemoryAccount& account) {
  return {{"bytes", account.used()}, {"peak_bytes", account.peak()}};
}

double ProbeCores(int threads) {
  ComputePool pool(threads);
  const double cores = MeasureFreeCores(*pool.MakeShare());
  if (cores < kEnoughCores * threads) {
    fmt::print(
        stderr,
        "hone: bench: {} threads get {:.2f} processors: something else is running, the figures will be low\n",
        threads, cores);
  }
  return cores;
}

// Bytes of keys and values that a token of the answer reads, half of the answer written.
double KvBytesPerToken(const ModelConfig& config, bool exact, const SpeedOptions& speed) {
  const int64_t entries = std::max<int64_t>(speed.context, 1) + speed.decode / 2;
  double bytes = 0.0;
  for (const int window : config.window) {
    const int64_t seen = window > 0 ? std::min<int64_t>(entries, window) : entries;
    bytes += 2.0 * config.kv_heads * config.head_dim * (exact ? 4.0 : 2.0) * static_cast<double>(seen);
  }
  return bytes;
}

Result<Json> Measure(const Options& options, int64_t prefill, int threads) {
  const double cores = ProbeCores(threads);
  ModelOptions model = options.model;
  model.threads = threads;
  HONE_TRY(OpenedSession opened, OpenSession(model, 0, kStepRows));
  Session& session = opened.session;
  SpeedOptions speed = options.speed;
  speed.prefill = prefill;
  auto bar =
      std::make_unique<Progress>("passes", static_cast<uint64_t>(speed.repeat + 1), Progress::Unit::kItems);
  speed.progress = [&](int64_t done, int64_t) { bar->Update(static_cast<uint64_t>(done)); };
  HONE_TRY(const Speed result, MeasureSpeed(session.runner(), session.pool(), speed));
  bar.reset();

  Json json;
  json["prefill_tokens_per_second"] = SpreadJson(result.prefill);
  json["decode_tokens_per_second"] = SpreadJson(result.decode);
  const uint64_t bytes = session.model().weight_bytes_per_token();
  json["weight_bytes_per_token"] = bytes;
  const double kv_bytes = KvBytesPerToken(session.model().config(), model.exact, speed);
  json["kv_bytes_per_token"] = static_cast<uint64_t>(kv_bytes);
  // What the model took, before the probe takes more.
  const uint64_t peak = PeakResidentBytes();
  MemoryAccounts& accounts = session.engine().accounts;
  const Json memory = {{"weights", AccountJson(accounts.weights)},
                       {"kv", AccountJson(accounts.kv)},
                       {"scratch", AccountJson(accounts.scratch)}};
  MemoryAccount probe("bandwidth probe");
  const auto share = session.engine().pool.MakeShare();
  HONE_TRY(const double bandwidth, MeasureReadBandwidth(*share, probe));
  json["read_bandwidth_bytes_per_second"] = static_cast<uint64_t>(bandwidth);
  // The weights are read once a step, whatever the number of sequences in it.
  const double steps_per_second = result.decode.median / static_cast<double>(speed.batch);
  json["bandwidth_fraction"] = steps_per_second * static_cast<double>(bytes) / bandwidth;
  json["bandwidth_fraction_with_kv"] =
      (steps_per_second * static_cast<double>(bytes) + result.decode.median * kv_bytes) / bandwidth;
  json["peak_resident_bytes"] = peak;
  json["cpu_target"] = ActiveCpuTarget();
  json["load_seconds"] = opened.load_seconds;
  json["model"] = session.model().path();
  json["prefill"] = prefill;
  json["decode"] = speed.decode;
  json["batch"] = speed.batch;
  json["context"] = speed.context;
  json["threads"] = threads;
  json["repeat"] = speed.repeat;
  json["mode"] = model.exact ? "exact" : "fast";
  json["free_cores"] = cores;
  json["memory"] = memory;
  return json;
}

std::string SpreadText(const Json& spread) {
  return fmt::format("{:8.1f} tokens/s  ({:.1f} to {:.1f})", spread["median"].get<double>(),
                     spread["min"].get<double>(), spread["max"].get<double>());
}

void Print(const Json& json) {
  fmt::print("{}: {} threads, {}, {}, batch {}, context {}, {} passes\n", json["model"].get<std::string>(),
             json["threads"].get<int>(), json["cpu_target"].get<std::string>(),
             json["mode"].get<std::string>(), json["batch"].get<int64_t>(), json["context"].get<int64_t>(),
             json["repeat"].get<int>());
  fmt::print("  prefill {:>5}  {}\n", json["prefill"].get<int64_t>(),
             SpreadText(json["prefill_tokens_per_second"]));
  fmt::print("  decode  {:>5}  {}\n", json["decode"].get<int64_t>(),
             SpreadText(json["decode_tokens_per_second"]));
  fmt::print("  reads {} of weights a step, {} of keys and values a token: {:.0f} % of {} a second\n",
             ReadableSize(json["weight_bytes_per_token"].get<uint64_t>()),
             ReadableSize(json["kv_bytes_per_token"].get<uint64_t>()),
             100.0 * json["bandwidth_fraction_with_kv"].get<double>(),
             ReadableSize(json["read_bandwidth_bytes_per_second"].get<uint64_t>()));
  for (const auto& [name, account] : json["memory"].items()) {
    fmt::print("  {:<8} {:>9}, at most {:>9}\n", name, ReadableSize(account["bytes"].get<uint64_t>()),
               ReadableSize(account["peak_bytes"].get<uint64_t>()));
  }
  fmt::print("  resident {:>9} at most; loaded in {:.2f} s\n",
             ReadableSize(json["peak_resident_bytes"].get<uint64_t>()), json["load_seconds"].get<double>());
}

Result<void> Run(const Options& options) {
  if (options.model.model.empty())
    return WrongUsage("bench: MODEL is missing, expected a model or \"kernels\"; see hone bench --help");
  std::vector<int> threads = options.threads;
  if (threads.empty()) threads.push_back(options.model.ThreadCount());
  std::vector<Json> runs;
  for (const int count : threads) {
    for (const int64_t prefill : options.prefill) {
      HONE_TRY(Json json, Measure(options, prefill, count));
      if (!options.json) Print(json);
      runs.push_back(std::move(json));
    }
  }
  if (options.json && runs.size() == 1) fmt::print("{}\n", runs.front().dump(2));
  if (options.json && runs.size() > 1) fmt::print("{}\n", Json{{"runs", runs}}.dump(2));
  return {};
}

}  // namespace

Action AddBench(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  AddModelOptions(app, options->model);
  app.get_option("MODEL")->required(false);  // not with a sub-command
  app.remove_option(app.get_option("--threads"));
  app.add_option("--threads", options->threads,
                 "Threads; several, separated by commas, are measured one after the other")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  app.add_option("--prefill", options->prefill, "Tokens of the prompt; several, separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--decode", options->speed.decode, "Tokens of the answer")->capture_default_str();
  app.add_option("--batch", options->speed.batch, "Sequences side by side")->capture_default_str();
  app.add_option("--context", options->speed.context,
                 "Tokens that every sequence holds before the clock starts")
      ->capture_default_str();
  app.add_option("--repeat", options->speed.repeat, "Passes that are timed")->capture_default_str();
  app.add_flag("--json", options->json, "Write one JSON object");
  CLI::App* kernels =
      app.add_subcommand("kernels", "Measure every kernel beside its limit and beside other libraries");
  kernels->footer("Example: hone bench kernels --formats q4_0,f16 --json");
  const Action bench_kernels = AddBenchKernels(*kernels);
  CLI::App* serve = app.add_subcommand("serve", "Measure how well a server keeps its promises under load");
  const Action bench_serve = AddBenchServe(*serve);
  return [options, kernels, bench_kernels, serve, bench_serve] {
    if (kernels->parsed()) return bench_kernels();
    return serve->parsed() ? bench_serve() : Run(*options);
  };
}

}  // namespace hone
