// The `hone` program: finds the subcommand, parses its flags, runs it, and turns its error into a line and an
// exit code.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "cli/command.h"
#include "core/base/text_distance.h"

namespace hone {
namespace {

constexpr Command kCommands[] = {
    {"chat", "Talk with a model on the terminal, or line by line through a pipe",
     "hone chat smollm2-135m --system \"Be brief.\"", AddChat},
    {"run", "Answer one prompt, from an argument, a file, standard input or token ids",
     "hone run smollm2-135m --prompt \"What is a hone?\" --max-tokens 60", AddRun},
    {"perplexity", "Measure how well a model predicts a text",
     "hone perplexity smollm2-135m test.txt --chunks 40", AddPerplexity},
    {"advise", "Choose a numeric setting for a task and so much memory, from what is measured",
     "hone advise smollm2-135m --memory 120MB --task retrieval", AddAdvise},
    {"bench", "Measure how fast a model reads and writes here, beside what memory allows",
     "hone bench smollm2-135m --threads 2 --json", AddBench},
    {"calibrate", "Find out about a model on text, and write it as a plan",
     "hone calibrate softmax smollm2-135m --text valid.txt -o plans/smollm2", AddCalibrate},
    {"convert", "Turn a Hugging Face folder into a GGUF file, or a GGUF file into a folder",
     "hone convert SmolLM2-135M smollm2.gguf", AddConvert},
    {"eval", "Measure how good a model is, by task and by numeric setting, with intervals",
     "hone eval smollm2-135m --tasks perplexity,choice --settings w16,w8,w4,w3 --text test.txt", AddEval},
    {"explain", "Show why a model runs as fast as it does here, operator by operator",
     "hone explain smollm2-135m --context 2048 --svg speed.svg", AddExplain},
    {"list", "The same as techniques", "hone list --stage prefill", AddTechniques},
    {"inspect", "Show what is in a model file: metadata, tensors, types, sizes, memory a token",
     "hone inspect model.gguf --json", AddInspect},
    {"plan", "Show what calibration and tuning found for a model, or join plans",
     "hone plan show plans/smollm2", AddPlan},
    {"pull", "Fetch a model, or list the models that are known by name", "hone pull smollm2-135m", AddPull},
    {"quantize", "Write a model in fewer bits, as a GGUF file that hone and llama.cpp run",
     "hone quantize model-f16.gguf model-q4_k_m.gguf --type Q4_K_M\n"
     "         hone quantize model-f16.gguf small.gguf --type Q3_K_M --method gptq --text valid.txt",
     AddQuantize},
    {"random-model", "Write a model with random weights, to measure speed and memory with",
     "hone random-model --like llama-1.1b --type q4_0 model.gguf", AddRandomModel},
    {"reproduce", "Measure what a paper claims, on this machine", "hone reproduce survey-breakdown",
     AddReproduce},
    {"serve", "Serve a model to clients of the OpenAI API", "hone serve smollm2-135m --port 8080", AddServe},
    {"simulate", "Plan servers in virtual time",
     "hone simulate serving smollm2-135m --rate 0.5,1,2 --schedule semi-pd,chunked:64", AddSimulate},
    {"stats", "Maxima, deviations and kurtosis of weights, activations, keys and values",
     "hone stats smollm2-135m --text valid.txt", AddStats},
    {"techniques", "List what makes models cheap here: what it helps, what it costs, how to turn it on",
     "hone techniques --stage decode --exact", AddTechniques},
    {"template", "Render a conversation through a chat template",
     "hone template --file chat.jinja --messages conversation.json --clock 2026-11-24T12:00:00", AddTemplate},
    {"tokenize", "Print the token ids of a text", "hone tokenize smollm2-135m --file text.txt", AddTokenize},
    {"train", "Train a small language model on your texts, and write it as files that run",
     "hone train lm runs/mine --text a.txt=2 --text b.jsonl --held-out c.txt --steps 2000\n  hone train "
     "export runs/mine "
     "mine.gguf",
     AddTrain},
    {"tune", "Find the fastest kernels for a model on this machine, and store them as a plan",
     "hone tune kernels smollm2-135m -o plans/kernels", AddTune},
};

constexpr std::string_view kExitCodes =
    "Exit codes: 0 done, 1 the work failed, 2 wrong usage, 3 bad input file, 130 interrupted.\n"
    "HONE_LOG=info|debug shows more on standard error; HONE_PIN=0 lets the kernel place the threads;\n"
    "HONE_CPU=scalar|avx2|avx512|neon forces the kernels of one kind of processor.";

std::vector<std::string_view> CommandNames() {
  std::vector<std::string_view> names;
  for (const Command& command : kCommands) names.push_back(command.name);
  return names;
}

const Command* FindCommand(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

std::string Help() {
  std::string text =
      "hone runs generative models on this machine.\n\nUsage: hone COMMAND [FLAGS]\n\nCommands:\n";
  for (const Command& command : kCommands)
    text += fmt::format("  {:<13} {}\n", command.name, command.summary);
  text +=
      "\nhone COMMAND --help shows the flags of a command and an example.\n\nExample: hone chat "
      "smollm2-135m\n\n";
  return text + std::string(kExitCodes) + "\n";
}

// Every name of every flag that `app` knows, as typed: "--threads", "-h".
std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

Error UnexpectedArgument(const CLI::App& app, std::string_view command, const std::string& argument) {
  if (argument.size() < 2 || argument[0] != '-') {
    return {ErrorKind::kUsage, fmt::format("{}: unexpected argument \"{}\"", command, argument)};
  }
  const std::string flag = argument.substr(0, argument.find('='));
  const std::vector<std::string> names = FlagNames(app);
  const std::vector<std::string_view> views(names.begin(), names.end());
  return {ErrorKind::kUsage, fmt::format("{}: unknown flag {}{}", command, flag, Suggestion(flag, views))};
}

// The deepest subcommand that was named, such as `kernels` in `hone bench kernels`.
const CLI::App& Deepest(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : Deepest(*chosen.front());
}

Result<void> RunCommand(const Command& command, std::span<char*> arguments) {
  CLI::App app(std::string(command.summary), fmt::format("hone {}", command.name));
  app.footer(fmt::format("Example: {}\n\n{}", command.example, kExitCodes));
  app.allow_extras();
  const Action action = command.add(app);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", Deepest(app).help());
    return {};
  } catch (const CLI::CallForAllHelp&) {
    fmt::print("{}", app.help("", CLI::AppFormatMode::All));
    return {};
  } catch (const CLI::ParseError& error) {
    for (const std::string& argument : app.remaining(true)) {  // a mistyped flag explains what is missing
      if (argument.starts_with("-"))
        return tl::unexpected(UnexpectedArgument(Deepest(app), command.name, argument));
    }
    std::string message = error.what();
    std::replace(message.begin(), message.end(), '\n', ' ');
    return WrongUsage("{}: {} (hone {} --help)", command.name, message, command.name);
  }
  if (const auto rest = app.remaining(true); !rest.empty()) {
    return tl::unexpected(UnexpectedArgument(Deepest(app), command.name, rest.front()));
  }
  return action();
}

Result<void> Run(std::span<char*> arguments) {
  if (arguments.empty()) return WrongUsage("no command given (hone --help lists them)");
  const std::string_view first = arguments[0];
  if (first == "--version" || first == "-V") {
    fmt::print("hone {}\n", HONE_VERSION);
    return {};
  }
  const bool help = first == "--help" || first == "-h" || first == "help";
  if (help && (arguments.size() == 1 || first != "help")) {
    fmt::print("{}", Help());
    return {};
  }
  const std::string_view name = help ? arguments[1] : first;
  const Command* command = FindCommand(name);
  if (command == nullptr) {
    const bool flag = name.starts_with("-");
    return WrongUsage("unknown {} {}{} (hone --help lists them)", flag ? "flag" : "command", name,
                      flag ? "" : Suggestion(name, CommandNames()));
  }
  static char help_flag[] = "--help";
  char* help_arguments[] = {help_flag};
  return RunCommand(*command, help ? std::span<char*>(help_arguments) : arguments.subspan(1));
}

Result<void> RunSafely(std::span<char*> arguments) {
  try {
    HONE_CHECK_OK(Run(arguments));
  } catch (const std::bad_alloc&) {
    return Failed("out of memory");
  } catch (const std::system_error& error) {  // fmt::print to a full disk or a closed pipe
    return Failed("standard output: {}", error.code().message());
  } catch (const std::exception& error) {
    return Failed("{}", error.what());
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return Failed("standard output: {}", std::strerror(errno));
  return {};
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  std::signal(SIGINT, [](int) { _exit(130); });  // commands with something to finish install their own
  const auto done = hone::RunSafely({argv + 1, argv + argc});
  if (done) return 0;
  fmt::print(stderr, "hone: {}\n", done.error().message);
  return static_cast<int>(done.error().kind);
}
