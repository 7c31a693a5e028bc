#include "cli/train_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "core/base/compute_share.h"

namespace hone {
namespace {

template <class Number>
bool ParseNumber(std::string_view text, Number& number) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size();
}

Result<std::vector<TextShare>> ParseTexts(const std::vector<std::string>& texts) {
  std::vector<TextShare> shares;
  for (const std::string& text : texts) {
    const size_t sign = text.rfind('=');
    TextShare share{.path = text.substr(0, sign)};
    if (sign != std::string::npos && !ParseNumber(std::string_view(text).substr(sign + 1), share.share))
      return WrongUsage("train: --text: {}, expected FILE or FILE=SHARE", text);
    if (!(share.share > 0.0)) return WrongUsage("train: --text: {}, expected a share above 0", text);
    shares.push_back(std::move(share));
  }
  return shares;
}

// "128:0.3", "512": windows of 128 for the first 30 % of the steps, then of 512.
Result<std::vector<LengthPhase>> ParseLengths(const std::vector<std::string>& texts) {
  std::vector<LengthPhase> lengths;
  for (const std::string& text : texts) {
    const size_t sign = text.find(':');
    LengthPhase phase;
    if (!ParseNumber(std::string_view(text).substr(0, sign), phase.length) ||
        (sign != std::string::npos && !ParseNumber(std::string_view(text).substr(sign + 1), phase.until))) {
      return WrongUsage("train: --lengths: {}, expected LENGTH or LENGTH:UNTIL, such as 128:0.3,512", text);
    }
    lengths.push_back(phase);
  }
  return lengths;
}

}  // namespace

void AddTrainOptions(CLI::App& app, TrainOptions& options) {
  LanguageModelRecipe& recipe = options.recipe;
  app.add_option("RUN", options.folder, "Folder of the run: a new one, or one to go on with")->required();
  const auto add = [&](const char* name, auto& value, const char* text) {
    app.add_option(name, value, text)->capture_default_str();
  };
  app.add_option("--text", options.texts,
                 "A text to train on, FILE or FILE=SHARE; again for each (.jsonl: one document a line)");
  app.add_option("--held-out", recipe.held_out, "A text that is never trained on, to measure with");
  add("--held-out-tokens", recipe.held_out_tokens, "Of it, from the front");
  add("--held-out-every", options.held_out_every, "Steps from one measurement to the next");
  add("--retrieval", recipe.retrieval_share, "Share of windows that are records with questions about them");
  add("--vocabulary", recipe.vocabulary, "Words of the byte-pair vocabulary, control tokens included");
  add("--layers", recipe.layers, "Layers");
  add("--width", recipe.width, "Width of the residual stream");
  add("--heads", recipe.heads, "Query heads");
  add("--kv-heads", recipe.kv_heads, "Key and value heads");
  add("--feed-forward", recipe.feed_forward, "Width inside the feed-forward part");
  add("--rope-base", recipe.rope_base, "Base of the rotary positions");
  add("--steps", recipe.steps,
      "Optimizer steps of the whole run; given for a run that goes on, its new number");
  add("--batch", recipe.batch_tokens, "Tokens of a step");
  add("--rows", recipe.rows, "Of these, tokens of a part, which runs on one thread");
  app.add_option("--lengths", options.lengths, "Window lengths, each until a share of the steps: 128:0.3,512")
      ->delimiter(',');
  add("--rate", recipe.learning_rate, "Learning rate at its highest");
  add("--final-rate", recipe.final_rate, "Share of it at the end");
  add("--warmup", recipe.warmup, "Steps of linear rise");
  add("--weight-decay", recipe.weight_decay, "Of matrices");
  add("--clip", recipe.clip, "Largest norm of the gradient");
  add("--seed", recipe.seed, "Of weights and windows");
  app.add_option("--threads", options.threads, "Threads (default: as many as processors)")
      ->check(CLI::Range(1, 1024));
  add("--checkpoint-seconds", options.checkpoint_seconds, "From one checkpoint to the next");
}

Result<TrainingRun> MakeTrainingRun(const CLI::App& app, const TrainOptions& options) {
  TrainingRun run;
  run.folder = options.folder;
  run.threads = options.threads > 0 ? options.threads : DefaultThreads();
  run.checkpoint_seconds = options.checkpoint_seconds;
  run.held_out_every = options.held_out_every;
  if (run.held_out_every < 1)
    return WrongUsage("train: --held-out-every: {}, expected at least 1", run.held_out_every);
  if (options.texts.empty()) {
    if (app.count("--steps") > 0) run.more_steps = options.recipe.steps;
    return run;
  }
  LanguageModelRecipe recipe = options.recipe;
  HONE_TRY(recipe.texts, ParseTexts(options.texts));
  if (!options.lengths.empty()) {
    HONE_TRY(recipe.lengths, ParseLengths(options.lengths));
  }
  if (const auto checked = CheckRecipe(recipe); !checked)
    return WrongUsage("train: {}", checked.error().message);
  run.recipe = std::move(recipe);
  return run;
}

}  // namespace hone
