// hone stats MODEL [--text F]: how far the numbers of a model reach.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/text_input.h"
#include "core/base/progress.h"
#include "core/kernels/cpu/cpu_target.h"
#include "evaluation/statistics/tensor_statistics.h"

namespace hone {
namespace {

struct Options {
  ModelOptions model;
  std::string text;
  int64_t window = 512;
  int64_t windows = 8;
  bool layers = false;
  bool json = false;
};

Result<std::vector<TensorStatistics>> OfText(const Options& options, const std::string& path,
                                             Engine& engine) {
  HONE_TRY(const std::string text, ReadText(options.text));
  HONE_TRY(const auto model, LoadModel(path, engine));
  HONE_TRY(const auto runner, Runner::Create(model, engine, {.mode = NumericMode::kExact}));
  const int64_t size = std::min(options.window, static_cast<int64_t>(model->config().context));
  HONE_TRY(const auto windows, CutCalibrationText(*model, text, options.text, size, options.windows));
  std::optional<Progress> bar;
  MomentOptions moments{.cancel = &CatchInterrupts()};
  moments.progress = [&](int64_t done, int64_t total) {
    if (!bar) bar.emplace("windows", static_cast<uint64_t>(total), Progress::Unit::kItems);
    bar->Update(static_cast<uint64_t>(done));
  };
  return ActivationStatistics(*runner, engine, windows, moments);
}

Result<void> Run(const Options& options) {
  HONE_CHECK_OK(InitCpuTarget());
  HONE_TRY(const std::string path, FindModel(options.model));
  const std::string scratch =
      (std::filesystem::temp_directory_path() / fmt::format("hone-stats-{}.gguf", getpid())).string();
  HONE_TRY(const auto source, OpenModelSource(path, scratch));
  Engine engine(options.model.ThreadCount());
  HONE_TRY(std::vector<TensorStatistics> statistics, WeightStatistics(*source, *engine.pool.MakeShare()));
  if (!options.text.empty()) {
    HONE_TRY(const auto of_text, OfText(options, path, engine));
    statistics.insert(statistics.end(), of_text.begin(), of_text.end());
  }
  fmt::print("{}{}", options.json ? StatisticsJson(statistics) : StatisticsText(statistics, options.layers),
             options.json ? "\n" : "");
  if (!options.json && options.text.empty())
    fmt::print("Weights alone: --text FILE adds activations, keys and values.\n");
  return {};
}

}  // namespace

Action AddStats(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model.model,
                 "A GGUF file, a Hugging Face folder or the name of a model that was pulled")
      ->required();
  app.add_option("--threads", options->model.threads, "Threads")->check(CLI::Range(1, 1024));
  app.add_option("--text", options->text, "A text that activations, keys and values are measured on");
  app.add_option("--window", options->window, "Tokens of a window of the text")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app.add_option("--windows", options->windows, "Windows, spread over the text")
      ->check(CLI::Range(4, 1 << 20))
      ->capture_default_str();
  app.add_flag("--layers", options->layers, "A line a tensor in the place of a line a kind");
  app.add_flag("--json", options->json, "Write one JSON object with every tensor");
  return [options] { return Run(*options); };
}

}  // namespace hone
