// hone perplexity MODEL FILE: how well a model predicts a text.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
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
  std::string against;
  bool json = false;
};

// Rows of one step: several short chunks share one.
constexpr int64_t kStepRows = 512;

nlohmann::ordered_json ToJson(const Perplexity& result, int64_t context) {
  return {{"perplexity", result.perplexity},   {"stderr", result.standard_error},
          {"chunks", result.chunks},           {"tokens", result.tokens},
          {"text_tokens", result.text_tokens}, {"context", context},
          {"first_scored", context / 2 + 1},   {"bos", result.bos}};
}

void Print(const Perplexity& result, int64_t context) {
  fmt::print("perplexity {:.4f} +/- {:.4f}\n", result.perplexity, result.standard_error);
  fmt::print("{} chunks of {} tokens{}; the {} tokens in their second halves were scored\n", result.chunks,
             context, result.bos ? ", each begun with BOS" : "", result.tokens);
}

// The model of --against: the same one in exact mode, or another.
Result<OpenedSession> OpenReference(const Options& options) {
  ModelOptions reference = options.model;
  reference.plans.clear();
  if (options.against == "exact") {
    reference.exact = true;
  } else {
    reference.model = options.against;
  }
  return OpenSession(reference, 0, kStepRows);
}

Result<void> Compare(Session& session, const Options& options, std::string_view text,
                     const PerplexityOptions& settings) {
  HONE_TRY(OpenedSession reference, OpenReference(options));
  HONE_TRY(const Divergence result,
           MeasureDivergence({reference.session.runner(), reference.session.pool()},
                             {session.runner(), session.pool()}, text, options.file, settings));
  if (options.json) {
    nlohmann::ordered_json json = ToJson(result.other, options.context);
    json["against"] = {{"model", options.against},
                       {"perplexity", result.reference.perplexity},
                       {"log_loss", result.log_loss.mean},
                       {"log_loss_stderr", result.log_loss.standard_error},
                       {"kl", result.kullback_leibler.mean},
                       {"kl_stderr", result.kullback_leibler.standard_error},
                       {"kl_99th_percentile", result.kullback_leibler_99},
                       {"same_top", result.same_top}};
    fmt::print("{}\n", json.dump(2));
    return {};
  }
  Print(result.other, options.context);
  const auto [loss, error] = result.log_loss;
  fmt::print("against {}: perplexity {:.4f}, log-perplexity {:+.5f} +/- {:.5f} ({:+.2f} %)\n",
             options.against, result.reference.perplexity, loss, error, 100.0 * std::expm1(loss));
  fmt::print(
      "Kullback-Leibler divergence {:.5f} +/- {:.5f} nats (99th percentile {:.5f}); the same most likely "
      "token at {:.2f} %\n",
      result.kullback_leibler.mean, result.kullback_leibler.standard_error, result.kullback_leibler_99,
      100.0 * result.same_top);
  return {};
}

Result<void> Run(const Options& options) {
  HONE_TRY(const std::string text, ReadText(options.file));
  HONE_TRY(OpenedSession opened, OpenSession(options.model, 0, kStepRows));
  Session& session = opened.session;
  std::unique_ptr<Progress> bar;
  PerplexityOptions settings{
      .context = options.context, .chunks = options.chunks, .cancel = &CatchInterrupts()};
  settings.progress = [&](int64_t chunks, int64_t total) {
    if (!bar)
      bar = std::make_unique<Progress>("chunks", static_cast<uint64_t>(total), Progress::Unit::kItems);
    bar->Update(static_cast<uint64_t>(chunks));
    if (chunks == total) bar.reset();
  };
  if (!options.against.empty()) return Compare(session, options, text, settings);
  HONE_TRY(const Perplexity result,
           MeasurePerplexity(session.runner(), session.pool(), text, options.file, settings));
  if (options.json) {
    fmt::print("{}\n", ToJson(result, options.context).dump(2));
  } else {
    Print(result, options.context);
  }
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
  app.add_option("--against", options->against,
                 "Compare token by token with another model, or with this one in exact mode: 'exact'");
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
