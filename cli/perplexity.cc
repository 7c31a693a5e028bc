// hone perplexity MODEL FILE: how well a model predicts a text.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/open_session.h"
#include "cli/text_input.h"
#include "core/base/progress.h"
#include "evaluation/metrics/perplexity.h"

namespace hone {
namespace {

struct Options {
  ModelOptions model;
  std::string file;
  int64_t context = 512;
  int64_t chunks = -1;
  bool json = false;
};

// Rows of one step: several short chunks share one.
constexpr int64_t kStepRows = 512;

Result<void> Run(const Options& options) {
  HONE_TRY(const std::string text, ReadText(options.file));
  HONE_TRY(OpenedSession opened, OpenSession(options.model, 0, kStepRows));
  Session& session = opened.session;
  PerplexityOptions perplexity;
  perplexity.context = options.context;
  perplexity.chunks = options.chunks;
  perplexity.cancel = &CatchInterrupts();
  std::unique_ptr<Progress> bar;
  perplexity.progress = [&](int64_t chunks, int64_t total) {
    if (!bar)
      bar = std::make_unique<Progress>("chunks", static_cast<uint64_t>(total), Progress::Unit::kItems);
    bar->Update(static_cast<uint64_t>(chunks));
  };
  HONE_TRY(const Perplexity result,
           MeasurePerplexity(session.runner(), session.pool(), text, options.file, perplexity));
  bar.reset();
  if (options.json) {
    const nlohmann::ordered_json json = {{"perplexity", result.perplexity},
                                         {"stderr", result.standard_error},
                                         {"chunks", result.chunks},
                                         {"tokens", result.tokens},
                                         {"text_tokens", result.text_tokens},
                                         {"context", options.context},
                                         {"first_scored", options.context / 2 + 1},
                                         {"bos", result.bos}};
    fmt::print("{}\n", json.dump(2));
    return {};
  }
  fmt::print("perplexity {:.4f} +/- {:.4f}\n", result.perplexity, result.standard_error);
  fmt::print("{} chunks of {} tokens{}; the {} tokens in their second halves were scored\n", result.chunks,
             options.context, result.bos ? ", each begun with BOS" : "", result.tokens);
  return {};
}

}  // namespace

Action AddPerplexity(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  AddModelOptions(app, options->model);
  app.add_option("FILE", options->file, "A text file; - reads standard input")->required();
  app.add_option("--ctx,--context", options->context, "Tokens of a chunk")->capture_default_str();
  app.add_option("--chunks", options->chunks, "At most so many chunks, from the front (default: all)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
