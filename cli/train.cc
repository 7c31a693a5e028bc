// hone train lm RUN: trains a small language model; hone-torch does it, because gradients come from libtorch.
// hone train export RUN OUT: a run's newest weights as a file or folder that runs.
// hone train plot RUN: its loss curve.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/train_options.h"
#include "core/tensor/dtype.h"
#include "training/language/checkpoint.h"
#include "training/language/export.h"
#include "training/language/loss_log.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

struct Options {
  TrainOptions train;
  std::string run;
  std::string out;
  std::string type = "f16";
};

// This program's own arguments, as they were typed.
std::vector<std::string> OwnArguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::string> arguments;
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find('\0', at), all.size());
    arguments.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  return arguments;
}

// Becomes hone-torch, which lies beside this program or in PATH.
Result<void> BecomeHoneTorch() {
  std::vector<std::string> arguments = OwnArguments();
  std::error_code failure;
  const fs::path beside = fs::read_symlink("/proc/self/exe", failure).parent_path() / "hone-torch";
  arguments[0] = fs::exists(beside, failure) ? beside.string() : "hone-torch";
  std::vector<char*> raw;
  for (std::string& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  execvp(raw[0], raw.data());
  return Failed("train: {}: {} (`make train` builds it: it needs Debian's libtorch-dev)", raw[0],
                std::strerror(errno));
}

Result<void> Export(const Options& options) {
  HONE_TRY(const LanguageModelRecipe recipe, ReadRecipe(options.run + "/recipe.json"));
  HONE_TRY(const Checkpoint checkpoint, LoadCheckpoint(options.run));
  if (options.out.ends_with(".gguf")) {
    const auto type = DTypeFromName(options.type);
    if (!type) return WrongUsage("train: --type: {}, expected f32 or f16", options.type);
    HONE_CHECK_OK(ExportGguf(recipe, checkpoint.tensors, options.run, *type, options.out));
  } else {
    HONE_CHECK_OK(ExportHuggingFace(recipe, checkpoint.tensors, options.run, options.out));
  }
  fmt::print("{}: weights after step {} of {}\n", options.out, checkpoint.step, recipe.steps);
  return {};
}

Result<void> Plot(const Options& options) {
  HONE_TRY(const auto lines, ReadLossLog(options.run + "/log.csv", std::numeric_limits<int64_t>::max()));
  HONE_CHECK_OK(DrawLossCurve(lines, "hone train lm", options.run));
  fmt::print("{0}/loss.svg {0}/loss.png\n", options.run);
  return {};
}

}  // namespace

Action AddTrain(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.require_subcommand(1);
  CLI::App* lm =
      app.add_subcommand("lm", "Train a small Llama on texts; Ctrl-C saves, the same command goes on");
  AddTrainOptions(*lm, options->train);
  CLI::App* output =
      app.add_subcommand("export", "Write a run's newest weights as a GGUF file or a safetensors folder");
  output->add_option("RUN", options->run, "Folder of the run")->required();
  output->add_option("OUT", options->out, "FILE.gguf, or a folder")->required();
  output->add_option("--type", options->type, "Of the matrices in a GGUF file: f32 or f16")
      ->capture_default_str();
  CLI::App* plot =
      app.add_subcommand("plot", "Draw a run's loss curve as loss.svg and loss.png in its folder");
  plot->add_option("RUN", options->run, "Folder of the run")->required();
  return [options, lm, output]() -> Result<void> {
    if (output->parsed()) return Export(*options);
    if (!lm->parsed()) return Plot(*options);
    HONE_CHECK_OK(MakeTrainingRun(*lm, options->train));
    return BecomeHoneTorch();
  };
}

}  // namespace hone
