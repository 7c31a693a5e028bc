// hone chat MODEL: a conversation on the terminal, or line by line where standard input is none.
#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>

#include "cli/answer_json.h"
#include "cli/chat_history.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "cli/model_options.h"
#include "cli/open_session.h"
#include "cli/sampling_options.h"
#include "core/base/progress.h"
#include "core/base/text_distance.h"

namespace hone {
namespace {

constexpr std::string_view kHelp =
    "/help            this\n"
    "/system [TEXT]   set the system prompt and start over; alone: show it\n"
    "/save FILE       write the conversation as JSON\n"
    "/load FILE       go on from a saved conversation\n"
    "/reset           forget the conversation, keep the system prompt\n"
    "/exit            end (so does Ctrl-D)\n"
    "Ctrl-C interrupts an answer. A message that begins with a slash is written with two.\n";
constexpr std::string_view kCommands[] = {"/help", "/system", "/save", "/load", "/reset", "/exit", "/quit"};

struct Options {
  ModelOptions model;
  SamplingFlags sampling;
  std::string system;
};

class ChatProgram {
 public:
  ChatProgram(const Options& options, Session session)
      : options_(options), session_(std::move(session)), interrupted_(CatchInterrupts()) {
    history_.SetSystem(options.system);
  }

  Result<void> Run() {
    HONE_CHECK_OK(session_.chat_prompt());
    HONE_TRY(generate_, options_.sampling.ToOptions());
    generate_.cancel = &interrupted_;
    if (terminal_) fmt::print("{}: /help for help, Ctrl-D ends\n", session_.model().path());
    std::string line;
    while (ReadLine(line)) {
      if (line.find_first_not_of(" \t\r\n") == std::string::npos) continue;
      const bool escaped = line.starts_with("//");
      if (line.starts_with("/") && !escaped) {
        if (!Command(line)) break;
        continue;
      }
      if (!Reply(escaped ? line.substr(1) : line) && !terminal_) return tl::unexpected(error_);
    }
    return {};
  }

 private:
  bool ReadLine(std::string& line) {
    while (terminal_) {
      const LineEditor::Outcome outcome = editor_.Read("> ", line);
      interrupted_ = false;
      if (outcome == LineEditor::Outcome::kEnd) return false;
      if (outcome == LineEditor::Outcome::kInterrupted) continue;
      editor_.Remember(line);
      return true;
    }
    return static_cast<bool>(std::getline(std::cin, line));
  }

  // False: the chat is over.
  bool Command(const std::string& line) {
    const size_t space = std::min(line.find(' '), line.size());
    const std::string name = line.substr(0, space);
    const std::string argument = line.substr(std::min(line.find_first_not_of(' ', space), line.size()));
    Result<void> done;
    if (name == "/exit" || name == "/quit") return false;
    if (name == "/help") {
      Say(kHelp);
    } else if (name == "/reset") {
      history_.Reset();
    } else if (name == "/system") {
      if (argument.empty()) {
        Say((history_.system().empty() ? "no system prompt" : history_.system()) + "\n");
      } else {
        history_.SetSystem(argument);
        history_.Reset();
      }
    } else if (name == "/save" || name == "/load") {
      if (argument.empty())
        done = WrongUsage("{}: no file, expected {} FILE", name, name);
      else
        done = name == "/save" ? history_.Save(argument) : history_.Load(argument);
    } else {
      done = WrongUsage("unknown command {}{} (/help lists them)", name, Suggestion(name, kCommands));
    }
    if (!done) fmt::print(stderr, "hone: {}\n", done.error().message);
    return true;
  }

  // Command output is conversation on a terminal only; answers alone go down a pipe.
  void Say(std::string_view text) const { fmt::print(terminal_ ? stdout : stderr, "{}", text); }

  bool Reply(const std::string& text) {
    history_.Add("user", text);
    std::unique_ptr<Progress> bar;
    generate_.listener.prompt = [&](int64_t done, int64_t total) {
      if (!bar)
        bar = std::make_unique<Progress>("reading", static_cast<uint64_t>(total), Progress::Unit::kItems);
      bar->Update(static_cast<uint64_t>(done));
      if (done == total) bar.reset();
    };
    generate_.listener.text = [](std::string_view piece) {
      fmt::print("{}", piece);
      std::fflush(stdout);
    };
    ChatPromptOptions prompt;
    prompt.template_kwargs_json = options_.sampling.chat_template_kwargs;
    const Result<Answer> answer = session_.Chat(history_.messages(), generate_, prompt);
    interrupted_ = false;
    bar.reset();
    if (!answer) {
      history_.RemoveLast();
      error_ = answer.error();
      if (terminal_) fmt::print(stderr, "hone: {}\n", error_.message);
      return false;
    }
    fmt::print("\n");
    std::fflush(stdout);
    history_.Add("assistant", answer->text);
    if (terminal_) ShowSpeed(*answer);
    return true;
  }

  void ShowSpeed(const Answer& answer) const {
    std::string line = SpeedLine(answer);
    if (answer.finish == FinishReason::kLength)
      line += "; cut off: the token limit or the context is reached";
    if (answer.finish == FinishReason::kCancelled) line += "; interrupted";
    if (!options_.sampling.seed && options_.sampling.sampling.temperature > 0.0)
      line += fmt::format("; seed {}", answer.seed);
    fmt::print(stderr, "\x1b[2m[{}]\x1b[0m\n", line);
  }

  const Options& options_;
  Session session_;
  std::atomic<bool>& interrupted_;
  const bool terminal_ = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  ChatHistory history_;
  LineEditor editor_;
  GenerateOptions generate_;
  Error error_;
};

Result<void> Run(const Options& options) {
  HONE_TRY(OpenedSession opened,
           OpenSession(options.model, options.sampling.context, options.sampling.chunk));
  return ChatProgram(options, std::move(opened.session)).Run();
}

}  // namespace

Action AddChat(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  // Lively, yet a small model stays on its subject.
  options->sampling.sampling.temperature = 0.3;
  options->sampling.sampling.top_k = 40;
  // Small models fall into loops: a mild penalty keeps most of them out, the limit ends the rest.
  options->sampling.sampling.repetition_penalty = 1.1;
  options->sampling.max_tokens = 1024;
  options->sampling.sampling.top_p = 0.9;
  AddModelOptions(app, options->model);
  app.add_option("--system", options->system, "System prompt");
  AddSamplingOptions(app, options->sampling);
  return [options] { return Run(*options); };
}

}  // namespace hone
