// hone run MODEL: one answer, from an argument, a file, standard input or token ids.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer_json.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/open_session.h"
#include "cli/sampling_options.h"
#include "cli/text_input.h"
#include "core/base/progress.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  SamplingFlags sampling;
  std::optional<std::string> prompt;
  std::optional<std::string> tokens;
  std::string file;
  std::string messages;
  std::string system;
  bool raw = false;
  bool continue_final_message = false;
  int64_t logits_top = 0;
  bool logits_all = false;
  bool log_probabilities = false;
  bool json = false;
};

Result<std::vector<TokenId>> ParseTokens(const std::string& text) {
  std::vector<TokenId> tokens;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    while (at < end && (*at == ' ' || *at == ',' || *at == '\n' || *at == '\t')) ++at;
    if (at == end) return tokens;
    TokenId id = kNoToken;
    const auto [next, status] = std::from_chars(at, end, id);
    if (status != std::errc() || id < 0) {
      return WrongUsage("--tokens-in: found \"{}\", expected token ids separated by spaces",
                        std::string(at, end).substr(0, 20));
    }
    tokens.push_back(id);
    at = next;
  }
}

Result<void> CheckSources(const Options& options) {
  const int sources = (options.prompt ? 1 : 0) + (options.tokens ? 1 : 0) + (options.file.empty() ? 0 : 1) +
                      (options.messages.empty() ? 0 : 1);
  if (sources > 1)
    return WrongUsage("run: more than one of --prompt, --tokens-in, --file and --messages, expected one");
  if (sources == 0 && isatty(STDIN_FILENO)) {
    return WrongUsage(
        "run: no prompt, expected --prompt, --tokens-in, --file, --messages or text on standard input");
  }
  if (options.raw && !options.messages.empty())
    return WrongUsage("run: --raw with --messages, expected one of them");
  if (options.raw && !options.system.empty())
    return WrongUsage("run: --raw with --system, expected one of them");
  if (options.continue_final_message && options.messages.empty()) {
    return WrongUsage("run: --continue-final-message without --messages, expected both");
  }
  return {};
}

Result<std::string> PromptText(const Options& options) {
  if (options.prompt) return *options.prompt;
  return ReadText(options.file.empty() ? "-" : options.file);
}

Result<Json> Messages(const Options& options) {
  if (options.messages.empty()) {
    HONE_TRY(std::string text, PromptText(options));
    return Json::array({{{"role", "user"}, {"content", std::move(text)}}});
  }
  HONE_TRY(const std::string text, ReadText(options.messages));
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    return BadInput(options.messages, "JSON", "not valid, expected an array of messages");
  if (json.is_object() && json.contains("messages")) return json["messages"];
  return json;
}

Result<Answer> Ask(Session& session, const Options& options, const GenerateOptions& generate) {
  if (options.tokens) {
    HONE_TRY(std::vector<TokenId> tokens, ParseTokens(*options.tokens));
    return session.Generate({std::move(tokens), 0}, session.ends(), generate);
  }
  if (options.raw) {
    HONE_TRY(const std::string text, PromptText(options));
    return session.Complete(text, generate);
  }
  HONE_CHECK_OK(session.chat_prompt());
  HONE_TRY(Json messages, Messages(options));
  if (!options.system.empty() && messages.is_array()) {
    messages.insert(messages.begin(), Json{{"role", "system"}, {"content", options.system}});
  }
  ChatPromptOptions prompt;
  prompt.template_kwargs_json = options.sampling.chat_template_kwargs;
  prompt.continue_final_message = options.continue_final_message;
  return session.Chat(messages, generate, prompt);
}

// Shows text as it comes, or in JSON mode how far it has come.
class Display {
 public:
  Display(const Options& options, GenerationListener& listener) {
    listener.prompt = [this](int64_t done, int64_t total) {
      if (!bar_)
        bar_ = std::make_unique<Progress>("reading", static_cast<uint64_t>(total), Progress::Unit::kItems);
      bar_->Update(static_cast<uint64_t>(done));
      if (done == total) bar_.reset();
    };
    if (!options.json) {
      listener.text = [this](std::string_view text) {
        fmt::print("{}", text);
        std::fflush(stdout);
        ends_in_newline_ = text.back() == '\n';
      };
      return;
    }
    listener.token = [this, total = options.sampling.max_tokens](const ChosenToken&) {
      if (!bar_)
        bar_ = std::make_unique<Progress>("writing", total < 0 ? 0 : static_cast<uint64_t>(total),
                                          Progress::Unit::kItems);
      bar_->Update(++tokens_);
    };
  }

  void Finish() {
    bar_.reset();
    if (!ends_in_newline_) fmt::print("\n");
  }

 private:
  std::unique_ptr<Progress> bar_;
  uint64_t tokens_ = 0;
  bool ends_in_newline_ = true;
};

void Report(const Options& options, const Answer& answer, double load_seconds) {
  if (options.json) {
    Json json = AnswerJson(answer, options.logits_top > 0);
    json["timings"]["load_seconds"] = load_seconds;
    fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
    return;
  }
  if (answer.dropped_bytes > 0) {
    fmt::print(stderr, "hone: {} bytes of the prompt are not in the model's vocabulary and were left out\n",
               answer.dropped_bytes);
  }
  const bool fresh = !options.sampling.seed && options.sampling.sampling.temperature > 0.0;
  if (isatty(STDERR_FILENO)) fmt::print(stderr, "[{}]\n", SpeedLine(answer));
  if (fresh) fmt::print(stderr, "[seed {}]\n", answer.seed);
}

Result<void> Run(const Options& options) {
  HONE_CHECK_OK(CheckSources(options));
  if (options.logits_all && options.logits_top == 0)
    return WrongUsage("run: --logits-all without --logits-top, expected both");
  HONE_TRY(GenerateOptions generate, options.sampling.ToOptions());
  generate.top = options.logits_top;
  generate.prompt_top = options.logits_all;
  generate.log_probabilities = options.log_probabilities;
  HONE_TRY(OpenedSession opened,
           OpenSession(options.model, options.sampling.context, options.sampling.chunk));
  generate.cancel = &CatchInterrupts();
  Display display(options, generate.listener);
  const Result<Answer> answer = Ask(opened.session, options, generate);
  display.Finish();
  if (!answer) return tl::unexpected(answer.error());
  Report(options, *answer, opened.load_seconds);
  if (answer->finish == FinishReason::kCancelled)
    return tl::unexpected(Error{ErrorKind::kInterrupted, "interrupted"});
  return {};
}

}  // namespace

Action AddRun(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  AddModelOptions(app, options->model);
  app.add_option("--prompt", options->prompt, "What to answer");
  app.add_option("--file", options->file,
                 "The same from a file; - is standard input, which is also the default");
  app.add_option("--tokens-in", options->tokens, "Token ids, separated by spaces, taken as they are");
  app.add_option("--messages", options->messages,
                 "A JSON file with a conversation: [{\"role\": .., \"content\": ..}, ..]");
  app.add_option("--system", options->system, "System prompt");
  app.add_flag("--raw", options->raw, "Go on from the text itself: no chat template");
  app.add_flag("--continue-final-message", options->continue_final_message,
               "Go on from the last message of --messages, the assistant's");
  app.add_option("--logits-top", options->logits_top,
                 "Report the largest raw logits of every step (with --json)")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--logits-all", options->logits_all, "And of every prompt token");
  app.add_flag("--logprobs", options->log_probabilities,
               "Report the log-probability of every token (with --json)");
  app.add_flag("--json", options->json, "Write one JSON object");
  AddSamplingOptions(app, options->sampling);
  return [options] { return Run(*options); };
}

}  // namespace hone
