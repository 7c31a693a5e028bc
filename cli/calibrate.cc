// hone calibrate softmax MODEL --text FILE -o PLAN: what a forward pass over text teaches about a model, as a
// plan.
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
#include "language/calibration/softmax_calibration.h"
#include "language/decoding/chat_prompt.h"
#include "language/models/softmax_plan.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  std::string text;
  std::string out;
  int64_t window = 512;
  int64_t windows = 32;
  bool strict = false;
  bool json = false;
};

Json LayerJson(const SoftmaxCalibration& calibration, const Model& model, int layer) {
  Json heads = Json::array();
  for (int head = 0; head < calibration.kv_heads; ++head) {
    const ScoreRange& range = calibration.range(layer, head);
    heads.push_back({{"phi", range.phi()},
                     {"low", range.low},
                     {"high", range.high},
                     {"smallest", range.smallest},
                     {"largest", range.largest},
                     {"scores", range.scores}});
  }
  Json json = {{"layer", layer}, {"kv_heads", std::move(heads)}};
  if (const auto bound = model.score_bound(layer)) json["bound"] = *bound;
  return json;
}

void Print(const SoftmaxCalibration& calibration, const Model& model, const SoftmaxScale& scale) {
  fmt::print("{} tokens in windows of up to {}; scores by layer, over its KV heads:\n", calibration.tokens,
             calibration.longest_window);
  fmt::print("layer      phi            99.99 % of scores            smallest    largest      bound\n");
  bool reachable = true;
  for (int layer = 0; layer < calibration.layers; ++layer) {
    const ScoreRange range = calibration.LayerRange(layer);
    const auto bound = model.score_bound(layer);
    fmt::print("{:5} {:8.2f} {:>14.2f} to {:<14.2f} {:>15.2f} {:>10.2f} {:>10}\n", layer, range.phi(),
               range.low, range.high, range.smallest, range.largest,
               bound ? fmt::format("{:.1f}", *bound) : "-");
    // A row is computed again where its largest score leaves (phi + below, phi + above).
    for (int head = 0; head < calibration.kv_heads; ++head) {
      const float phi = calibration.range(layer, head).phi();
      if (!bound || *bound - phi >= scale.above || -*bound - phi <= scale.below) reachable = false;
    }
  }
  fmt::print("a row is computed again where its largest score leaves ({:.0f}, {:.0f}) around phi",
             scale.below, scale.above);
  fmt::print("{}\n", reachable ? ": the norms of this model keep every score within" : "");
}

Result<void> Run(const Options& options) {
  if (options.model.model.empty())
    return WrongUsage("calibrate: no model given, expected MODEL (hone calibrate softmax --help)");
  HONE_TRY(const std::string text, ReadText(options.text));
  HONE_TRY(OpenedSession opened, OpenSession(options.model, 0, options.window));
  Session& session = opened.session;
  const Model& model = session.model();
  if (session.runner().options().max_rows < options.window) {
    return WrongUsage("calibrate: a window of {} tokens, expected at most {} for this model", options.window,
                      session.runner().options().max_rows);
  }
  const std::vector<TokenId> tokens = EncodePrompt(model.tokenizer(), text).tokens;
  HONE_TRY(const auto windows, CalibrationWindows(model, tokens, options.window, options.windows));
  CalibrationOptions calibrate;
  calibrate.cancel = &CatchInterrupts();
  auto bar = std::make_unique<Progress>("windows", windows.size(), Progress::Unit::kItems);
  calibrate.progress = [&](int64_t done, int64_t) { bar->Update(static_cast<uint64_t>(done)); };
  HONE_TRY(const SoftmaxCalibration calibration,
           CalibrateSoftmax(session.runner(), session.engine(), windows, calibrate));
  bar.reset();
  Plan plan;
  plan.parts[std::string(kSoftmaxPart)] = SoftmaxPart(calibration, model, options.strict);
  HONE_CHECK_OK(WritePlan(plan, options.out));
  const SoftmaxScale scale = SoftmaxScales(calibration, model.config().context, options.strict)[0][0];
  if (!options.json) {
    Print(calibration, model, scale);
    fmt::print("wrote {}\n", options.out);
    return {};
  }
  Json json = {{"plan", options.out},  {"tokens", calibration.tokens}, {"below", scale.below},
               {"above", scale.above}, {"strict", scale.strict},       {"layers", Json::array()}};
  for (int layer = 0; layer < calibration.layers; ++layer)
    json["layers"].push_back(LayerJson(calibration, model, layer));
  fmt::print("{}\n", json.dump(2));
  return {};
}

}  // namespace

Action AddCalibrate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.require_subcommand(1);
  CLI::App* softmax = app.add_subcommand(
      "softmax", "Find a fixed number to subtract in each softmax, by layer and KV head (FlashDecoding++)");
  AddModelOptions(*softmax, options->model);
  softmax->get_option("MODEL")->required(false);
  softmax->add_option("--model", options->model.model, "The model, in the place of MODEL");
  softmax->add_option("--text", options->text, "A text file; - reads standard input")->required();
  softmax->add_option("-o,--out", options->out, "Folder of the plan that is written")->required();
  softmax->add_option("--window", options->window, "Tokens read together")
      ->check(CLI::Range(16, 8192))
      ->capture_default_str();
  softmax->add_option("--windows", options->windows, "At most so many windows, spread over the text")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  softmax->add_flag("--strict", options->strict,
                    "Compute a row again where any of its scores is too small, not only where all are");
  softmax->add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
