// hone tune kernels MODEL -o PLAN: measures which kernel multiplies each matrix of a model fastest here.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/open_session.h"
#include "core/base/progress.h"
#include "core/kernels/cpu/processor_key.h"
#include "evaluation/metrics/machine_probe.h"
#include "evaluation/metrics/matmul_tuning.h"
#include "language/models/matmul_plan.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  MatmulTuningOptions tuning;
  std::string out;
  bool json = false;
};

std::string_view KernelName(MatmulKernel kernel) { return kMatmulKernelNames[static_cast<size_t>(kernel)]; }

// A plan of this processor goes on: cells of other models, threads and modes stay.
Result<Plan> PlanToExtend(const std::string& folder, MatmulTable& table) {
  Plan plan;
  if (folder.empty() || !std::filesystem::exists(std::filesystem::path(folder) / "plan.json")) return plan;
  HONE_TRY(plan, ReadPlan(folder));
  const auto part = plan.parts.find(std::string(kMatmulPart));
  if (part == plan.parts.end() || part->second.made_for[PlanKey::kProcessor] != ProcessorKey()) return plan;
  HONE_TRY(table, ReadMatmulTable(part->second));
  return plan;
}

Json ToJson(const TunedMatmul& tuned) {
  const MatmulKey& key = tuned.cell.key;
  Json kernels = Json::object();
  for (size_t i = 0; i < kMatmulKernelNames.size(); ++i) {
    if (tuned.kernel_seconds[i] > 0.0) kernels[std::string(kMatmulKernelNames[i])] = tuned.kernel_seconds[i];
  }
  return {{"format", Info(key.format).name},
          {"rows", key.rows},
          {"columns", key.columns},
          {"activation_rows", key.activation_rows},
          {"threads", key.threads},
          {"kernel", KernelName(tuned.cell.choice.kernel)},
          {"rows_per_task", tuned.cell.choice.rows_per_task},
          {"seconds", tuned.seconds},
          {"built_in_kernel", KernelName(tuned.built_in.kernel)},
          {"built_in_seconds", tuned.built_in_seconds},
          {"kernel_seconds", kernels}};
}

double GeometricMeanGain(const std::vector<TunedMatmul>& all) {
  double sum = 0.0;
  for (const TunedMatmul& tuned : all) sum += std::log(tuned.built_in_seconds / tuned.seconds);
  return std::exp(sum / static_cast<double>(std::max<size_t>(1, all.size())));
}

void Print(const std::vector<TunedMatmul>& all) {
  fmt::print("{:<7} {:>16} {:>6}  {:<7} {:>5}  {:>11}  {:>22}\n", "format", "N x K", "M", "kernel", "rows",
             "us", "of the built-in choice");
  for (const TunedMatmul& tuned : all) {
    const MatmulKey& key = tuned.cell.key;
    fmt::print("{:<7} {:>16} {:>6}  {:<7} {:>5}  {:>11.1f}  {:>7.1f} us, {:>6} {:.2f}x\n",
               Info(key.format).name, fmt::format("{} x {}", key.rows, key.columns), key.activation_rows,
               KernelName(tuned.cell.choice.kernel), tuned.cell.choice.rows_per_task, tuned.seconds * 1e6,
               tuned.built_in_seconds * 1e6, KernelName(tuned.built_in.kernel),
               tuned.built_in_seconds / tuned.seconds);
  }
}

Result<void> Run(const Options& options) {
  HONE_TRY(OpenedSession opened, OpenSession(options.model, 0, 1));
  const auto share = opened.session.engine().pool.MakeShare();
  MatmulTable table;
  HONE_TRY(Plan plan, PlanToExtend(options.out, table));
  const double cores = MeasureFreeCores(*share);
  if (cores < 0.9 * share->threads()) {
    fmt::print(
        stderr,
        "hone: tune: {} threads get {:.2f} processors: something else is running, the choice may not hold\n",
        share->threads(), cores);
  }
  MatmulTuningOptions tuning = options.tuning;
  tuning.mode = options.model.exact ? NumericMode::kExact : NumericMode::kFast;
  const std::vector<MatmulShape> shapes = MatmulShapes(opened.session.model());
  auto bar = std::make_unique<Progress>("cells", shapes.size() * tuning.activation_rows.size(),
                                        Progress::Unit::kItems);
  const std::atomic<bool>& interrupted = CatchInterrupts();
  tuning.progress = [&](size_t done, size_t) -> Result<void> {
    bar->Update(done);
    return interrupted ? Result<void>(tl::unexpected(Error{ErrorKind::kInterrupted, "tune: interrupted"}))
                       : Result<void>();
  };
  MemoryAccount account("tuning");
  HONE_TRY(const std::vector<TunedMatmul> all, TuneMatmuls(shapes, *share, account, tuning));
  bar.reset();
  for (const TunedMatmul& tuned : all) table.Set(tuned.cell.key, tuned.cell.choice);
  if (!options.out.empty()) {
    plan.parts[std::string(kMatmulPart)] = MatmulTablePart(table);
    HONE_CHECK_OK(WritePlan(plan, options.out));
  }
  if (options.json) {
    Json cells = Json::array();
    for (const TunedMatmul& tuned : all) cells.push_back(ToJson(tuned));
    fmt::print("{}\n", Json{{"processor", ProcessorKey()},
                            {"free_cores", cores},
                            {"meter", Name(MeterKind::kMeasured)},
                            {"gain_over_built_in", GeometricMeanGain(all)},
                            {"cells", cells}}
                           .dump(2));
    return {};
  }
  Print(all);
  fmt::print("{} cells on {}; {:.2f} times as fast as the built-in choices (geometric mean)\n", all.size(),
             ProcessorKey(), GeometricMeanGain(all));
  if (!options.out.empty()) fmt::print("written to {}; use it with --plan {}\n", options.out, options.out);
  return {};
}

}  // namespace

Action AddTune(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.require_subcommand(1);
  CLI::App* kernels = app.add_subcommand(
      "kernels", "Measure which kernel multiplies each matrix of a model fastest, and store it as a plan");
  AddModelOptions(*kernels, options->model);
  kernels->add_option("-o,--out", options->out, "The plan's folder; cells that it holds already stay");
  kernels
      ->add_option("--activation-rows", options->tuning.activation_rows,
                   "Rows of activations, separated by commas")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  kernels
      ->add_option("--rounds", options->tuning.tuner.rounds,
                   "Readings of every choice that stays in the race")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  kernels->add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
