// hone reproduce NAME | --list: measures what a paper claims, on this machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "core/base/text_distance.h"
#include "evaluation/reproduce/experiment.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ExperimentOptions experiment;
  std::string name;
  bool list = false;
  bool json = false;
};

void List(bool json) {
  Json list = Json::array();
  for (const Experiment& experiment : Experiments()) {
    list.push_back({{"name", experiment.name}, {"paper", experiment.paper}, {"summary", experiment.summary}});
    if (!json)
      fmt::print("{:<21} {}\n{:<21} {}\n", experiment.name, experiment.summary, "", experiment.paper);
  }
  if (json) fmt::print("{}\n", Json{{"experiments", list}}.dump(2));
}

Result<void> Run(const Options& options) {
  if (options.list) {
    List(options.json);
    return {};
  }
  if (options.name.empty())
    return WrongUsage("reproduce: no experiment given, expected a name (hone reproduce --list)");
  const Experiment* experiment = FindExperiment(options.name);
  if (experiment == nullptr) {
    std::vector<std::string_view> names;
    for (const Experiment& known : Experiments()) names.push_back(known.name);
    return WrongUsage("reproduce: unknown experiment {}{} (hone reproduce --list)", options.name,
                      Suggestion(options.name, names));
  }
  ExperimentOptions run = options.experiment;
  run.progress = true;
  run.cancel = &CatchInterrupts();
  HONE_TRY(const Report report, RunExperiment(*experiment, run));
  fmt::print("{}{}", options.json ? ReportJson(report) : ReportText(report), options.json ? "\n" : "");
  return {};
}

}  // namespace

Action AddReproduce(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("NAME", options->name, "The experiment");
  app.add_flag("--list", options->list, "List the experiments");
  app.add_option("--model", options->experiment.models,
                 "Models in the place of the experiment's own, separated by commas: names or paths")
      ->delimiter(',');
  app.add_option("--text", options->experiment.text,
                 "A text file in the place of the pulled one (hone pull shakespeare)")
      ->check(CLI::ExistingFile);
  app.add_option("--threads", options->experiment.threads,
                 "Threads (default: the processors this process may use, at most one a core)")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--full", options->experiment.full,
               "The long form of experiments that have one (semi-pd: hours)");
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
