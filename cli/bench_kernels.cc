// hone bench kernels: every kernel beside its limit, and beside OpenBLAS and oneDNN where they are installed
// and llama.cpp's where --ggml names them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "core/base/progress.h"
#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/cpu/processor_key.h"
#include "core/kernels/matmul.h"
#include "evaluation/metrics/kernel_speed.h"
#include "evaluation/metrics/machine_probe.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  KernelSpeedOptions speed;
  std::string ggml;
  int threads = 0;
  bool json = false;
};

// Below this share of the asked cores the figures are the neighbours' as much as the program's.
constexpr double kEnoughCores = 0.9;

Json ToJson(const KernelSpeed& speed) {
  Json json = {
      {"kernel", speed.kernel},
      {"shape", speed.shape},
      {"seconds", speed.seconds},
      {speed.limit == "memory" || speed.limit == "cache" ? "bytes_per_second" : "operations_per_second",
       speed.speed},
      {"limit", speed.limit},
      {"fraction", speed.fraction}};
  for (const PeerRatio& peer : speed.peers) json["peer_ratios"][peer.peer] = peer.ratio;
  return json;
}

void Print(const MachineLimits& limits, const PeerProducts& peers, double cores, int threads,
           const std::vector<KernelSpeed>& all) {
  fmt::print(
      "{}, {} threads ({:.2f} cores free); limits: memory {:.1f} GB/s, byte dots ({}) {:.0f} GOP/s, fused "
      "multiply-adds {:.0f} GFLOP/s\n",
      ProcessorKey(), threads, cores, limits.memory_bandwidth / 1e9, ActiveInt8Kernel(),
      limits.byte_operations / 1e9, limits.float_operations / 1e9);
  fmt::print("{:<24} {:<44} {:>11} {:>10}  {:>5} of {:<20} {:>6}\n", "kernel", "shape", "us", "G/s", "%",
             "limit", "peer");
  for (const KernelSpeed& speed : all) {
    fmt::print("{:<24} {:<44} {:>11.1f} {:>10.1f}  {:>5.0f} of {:<20} ", speed.kernel, speed.shape,
               speed.seconds * 1e6, speed.speed / 1e9, 100.0 * speed.fraction, speed.limit);
    for (const PeerRatio& peer : speed.peers) fmt::print("{:>5.2f}x {}  ", peer.ratio, peer.peer);
    fmt::print("\n");
  }
  fmt::print(
      "peers: how many times faster hone is than the other library on the same shape, which may add in any "
      "order; "
      "hone's order is fixed\n");
  if (!peers.has_floats()) fmt::print("OpenBLAS is not installed (Debian: libopenblas0)\n");
  if (!peers.has_bytes()) fmt::print("oneDNN is not installed (Debian: libdnnl2)\n");
}

Result<void> Run(const Options& options) {
  const int threads = options.threads > 0 ? options.threads : DefaultThreads();
  const auto peers = LoadPeerProducts(threads);
  std::unique_ptr<PeerGgml> ggml;
  if (!options.ggml.empty()) {
    HONE_TRY(ggml, LoadPeerGgml(options.ggml, threads));
  }
  HONE_CHECK_OK(InitCpuTarget());
  ComputePool pool(threads);
  const auto share = pool.MakeShare();
  MemoryAccount account("kernel bench");
  HONE_TRY(const MachineLimits limits, MeasureLimits(*share, account));
  const double cores = limits.free_cores;
  if (cores < kEnoughCores * threads) {
    fmt::print(
        stderr,
        "hone: bench: {} threads get {:.2f} processors: something else is running, the figures will be low\n",
        threads, cores);
  }
  KernelSpeedOptions speed = options.speed;
  speed.ggml = ggml.get();
  std::unique_ptr<Progress> bar;
  const std::atomic<bool>& interrupted = CatchInterrupts();
  speed.progress = [&](int64_t done, int64_t total) -> Result<void> {
    if (!bar)
      bar = std::make_unique<Progress>("kernels", static_cast<uint64_t>(total), Progress::Unit::kItems);
    bar->Update(static_cast<uint64_t>(done));
    if (interrupted) return tl::unexpected(Error{ErrorKind::kInterrupted, "bench kernels: interrupted"});
    return {};
  };
  HONE_TRY(const std::vector<KernelSpeed> all, MeasureKernels(*share, account, limits, *peers, speed));
  bar.reset();
  if (!options.json) {
    Print(limits, *peers, cores, threads, all);
    return {};
  }
  Json kernels = Json::array();
  for (const KernelSpeed& kernel : all) kernels.push_back(ToJson(kernel));
  const Json json = {{"processor", ProcessorKey()},
                     {"threads", threads},
                     {"free_cores", cores},
                     {"limits",
                      {{"read_bandwidth_bytes_per_second", limits.memory_bandwidth},
                       {"byte_dots_per_second", limits.byte_operations},
                       {"byte_dots_instruction", ActiveInt8Kernel()},
                       {"fma_operations_per_second", limits.float_operations}}},
                     {"kernels", kernels}};
  fmt::print("{}\n", json.dump(2));
  return {};
}

}  // namespace

Action AddBenchKernels(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--formats", options->speed.formats, "Weight formats, separated by commas; default: all")
      ->delimiter(',');
  app.add_option("--threads", options->threads, "Threads; default: the processors this process may use")
      ->check(CLI::Range(1, 1024));
  app.add_option("--rounds", options->speed.rounds, "Readings of every figure, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option(
      "--ggml", options->ggml,
      "Folder of llama.cpp's libggml-base.so and libggml-cpu.so, or of a fork's libggml.so: measure "
      "its kernels too");
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
