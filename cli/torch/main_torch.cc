// The `hone-torch` program: the part of `hone` that needs libtorch. `hone` starts it with its own arguments.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/interrupt.h"
#include "cli/train_options.h"
#include "training/language/lm_training_torch.h"

namespace hone {
namespace {

std::string TimeLeft(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

// A line of standard error every few seconds; a terminal sees one line that changes.
class StepLines {
 public:
  explicit StepLines(bool terminal) : terminal_(terminal) {}

  void Show(const LossLine& line, int64_t steps) {
    seconds_ += line.seconds;
    tokens_ = tokens_ == 0 ? line.tokens / line.step : tokens_;
    recent_seconds_ = recent_seconds_ == 0.0 ? line.seconds : 0.95 * recent_seconds_ + 0.05 * line.seconds;
    loss_ = loss_ == 0.0 ? line.loss : 0.95 * loss_ + 0.05 * line.loss;
    if (line.held_out >= 0.0) held_out_ = line.held_out;
    const bool last = line.step == steps;
    if (!terminal_ && !last && line.held_out < 0.0 && seconds_ - shown_ < kLineSeconds) return;
    shown_ = seconds_;
    const std::string held_out = held_out_ < 0.0 ? "" : fmt::format("  held out {:.4f}", held_out_);
    fmt::print(stderr, "{}step {} of {}  loss {:.4f}{}  rate {:.2e}  {:.0f} tokens/s  {} left{}",
               terminal_ ? "\r\x1b[2K" : "", line.step, steps, loss_, held_out, line.rate,
               static_cast<double>(tokens_) / recent_seconds_,
               TimeLeft(static_cast<double>(steps - line.step) * recent_seconds_),
               terminal_ && !last ? "" : "\n");
  }

 private:
  static constexpr double kLineSeconds = 30.0;
  bool terminal_;
  double seconds_ = 0.0;
  double shown_ = 0.0;
  double recent_seconds_ = 0.0;
  double loss_ = 0.0;
  double held_out_ = -1.0;
  int64_t tokens_ = 0;
};

Result<void> Run(int argc, char** argv) {
  CLI::App app("The part of hone that needs libtorch; `hone train lm` starts it", "hone-torch");
  app.require_subcommand(1);
  CLI::App* train = app.add_subcommand("train", "Train");
  train->require_subcommand(1);
  CLI::App* lm = train->add_subcommand("lm", "A small language model");
  TrainOptions options;
  AddTrainOptions(*lm, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", lm->parsed() ? lm->help() : app.help());
    return {};
  } catch (const CLI::ParseError& error) {
    return WrongUsage("train: {}", error.what());
  }
  HONE_TRY(TrainingRun run, MakeTrainingRun(*lm, options));
  StepLines lines(isatty(STDERR_FILENO) != 0);
  run.cancel = &CatchInterrupts();
  run.say = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  run.after_step = [&](const LossLine& line, int64_t steps) { lines.Show(line, steps); };
  HONE_TRY(const LossLog log, TrainLanguageModel(run));
  if (const auto drawn = DrawLossCurve(log.lines(), "hone train lm", run.folder); !drawn)
    fmt::print(stderr, "hone: no picture: {}\n", drawn.error().message);
  return {};
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  tl::expected<void, hone::Error> done;
  try {
    done = hone::Run(argc, argv);
  } catch (const std::exception& error) {
    done = hone::Failed("{}", error.what());
  }
  if (done) return 0;
  fmt::print(stderr, "hone: {}\n", done.error().message);
  return static_cast<int>(done.error().kind);
}
