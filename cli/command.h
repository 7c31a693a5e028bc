// A subcommand of the `hone` program. One file a subcommand; the table of all of them is in cli/main.cc.
//
// A file cli/NAME.cc defines `Action AddNAME(CLI::App& app)`: it adds the subcommand's flags to `app`, which
// keep what was typed in an object that the returned action owns, and returns what runs after parsing. An
// error that the action returns is printed as one line, "hone: MESSAGE", and its kind is the exit code.
#pragma once

#include <functional>
#include <string_view>

#include "core/base/result.h"

namespace CLI {
class App;
}

namespace hone {

using Action = std::function<Result<void>()>;

struct Command {
  std::string_view name;
  std::string_view summary;  // one line
  std::string_view example;  // one or more command lines
  Action (*add)(CLI::App& app);
};

// Sub-commands of sub-commands, in files of their own.
Action AddBenchKernels(CLI::App& app);  // hone bench kernels
Action AddBenchServe(CLI::App& app);    // hone bench serve

// The subcommands, each in the file of its name.
Action AddAdvise(CLI::App& app);
Action AddBench(CLI::App& app);
Action AddCalibrate(CLI::App& app);
Action AddChat(CLI::App& app);
Action AddConvert(CLI::App& app);
Action AddEval(CLI::App& app);
Action AddExplain(CLI::App& app);
Action AddInspect(CLI::App& app);
Action AddPerplexity(CLI::App& app);
Action AddPlan(CLI::App& app);
Action AddPull(CLI::App& app);
Action AddQuantize(CLI::App& app);
Action AddRandomModel(CLI::App& app);
Action AddReproduce(CLI::App& app);
Action AddRun(CLI::App& app);
Action AddServe(CLI::App& app);
Action AddSimulate(CLI::App& app);  // in bench_serve.cc
Action AddStats(CLI::App& app);
Action AddTechniques(CLI::App& app);
Action AddTemplate(CLI::App& app);
Action AddTokenize(CLI::App& app);
Action AddTrain(CLI::App& app);
Action AddTune(CLI::App& app);

}  // namespace hone
