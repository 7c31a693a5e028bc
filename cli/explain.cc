// hone explain MODEL: why the model runs as fast as it does here, operator by operator.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/open_session.h"
#include "core/base/output_file.h"
#include "core/base/progress.h"
#include "core/kernels/cpu/processor_key.h"
#include "evaluation/explain/explanation.h"

namespace hone {
namespace {

struct Options {
  ModelOptions model;
  ExplainOptions explain;
  std::string svg;
  bool json = false;
};

constexpr int64_t kStepRows = 512;

Result<void> WriteText(const std::string& path, const std::string& text) {
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(text))));
  return file.Commit();
}

Result<void> Run(const Options& options) {
  HONE_TRY(OpenedSession opened, OpenSession(options.model, 0, kStepRows));
  Session& session = opened.session;
  Explanation explanation;
  explanation.model = session.model().path();
  explanation.machine = ProcessorKey();
  explanation.mode = options.model.exact ? "exact" : "fast";
  explanation.threads = options.model.ThreadCount();
  {
    MemoryAccount probe("bandwidth probe");
    const auto share = session.engine().pool.MakeShare();
    HONE_TRY(explanation.limits, MeasureLimits(*share, probe));
  }
  ExplainOptions explain = options.explain;
  auto bar =
      std::make_unique<Progress>("passes", static_cast<uint64_t>(explain.repeat + 1), Progress::Unit::kItems);
  explain.progress = [&](int64_t done, int64_t) { bar->Update(static_cast<uint64_t>(done)); };
  HONE_TRY(explanation.stages, MeasureStages(session.runner(), session.pool(), explanation.limits, explain));
  bar.reset();
  if (!options.svg.empty()) HONE_CHECK_OK(WriteText(options.svg, ExplanationPicture(explanation)));
  fmt::print("{}{}", options.json ? ExplanationJson(explanation) : ExplanationText(explanation),
             options.json ? "\n" : "");
  return {};
}

}  // namespace

Action AddExplain(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  AddModelOptions(app, options->model);
  app.add_option("--context", options->explain.context,
                 "Tokens that every sequence holds before the clock starts")
      ->capture_default_str();
  app.add_option("--batch", options->explain.batch, "Sequences side by side")->capture_default_str();
  app.add_option("--prefill", options->explain.prefill, "Tokens of the prompt that is read; 0: none")
      ->capture_default_str();
  app.add_option("--decode", options->explain.decode, "Steps of decoding; 0: none")->capture_default_str();
  app.add_option("--repeat", options->explain.repeat, "Passes that are timed")->capture_default_str();
  app.add_option("--svg", options->svg, "Write a picture to this file");
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
