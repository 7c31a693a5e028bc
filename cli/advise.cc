// hone advise MODEL --memory 120MB --task retrieval: which numeric setting to take, and why.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/eval_tasks.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "core/kernels/cpu/cpu_target.h"
#include "evaluation/runner/advice.h"

namespace hone {
namespace {

struct Options {
  ModelOptions model;
  uint64_t memory = 0;
  std::string task = "perplexity";
  TaskOptions tasks;
  std::vector<std::string> settings = {"w16", "w8", "w6", "w5", "w4", "w3", "w2"};
  std::string results;
  int64_t context = 1024;
  bool json = false;
};

// What users call a task, and the task of hone eval that measures it.
std::string TaskName(const std::string& name) {
  if (name == "retrieval" || name == "long") return "lines20";
  if (name == "chat") return "dialogue";
  if (name == "text") return "perplexity";
  return name;
}

Result<MeasuredFront> Measure(const Options& options) {
  if (!options.results.empty()) return ReadFront(options.results, TaskName(options.task));
  EvaluationOptions evaluation;
  HONE_TRY(evaluation.source.model, FindModel(options.model));
  evaluation.source.threads = options.model.threads;
  evaluation.cancel = &CatchInterrupts();
  for (const std::string& name : options.settings) {
    HONE_TRY(EvalSetting setting, ParseSetting(name));
    evaluation.settings.push_back(std::move(setting));
  }
  HONE_TRY(evaluation.tasks, MakeTasks({TaskName(options.task)}, options.tasks));
  HONE_TRY(const std::vector<SettingResult> results, EvaluateWithBar(evaluation));
  return FrontOf(results, 0, options.context);
}

Result<void> Run(const Options& options) {
  HONE_CHECK_OK(InitCpuTarget());
  HONE_TRY(const MeasuredFront front, Measure(options));
  HONE_TRY(const Advice advice, Advise(front, static_cast<double>(options.memory)));
  if (options.json) {
    nlohmann::ordered_json points = nlohmann::ordered_json::array();
    for (const ParetoPoint& point : front.points) {
      points.push_back({{"setting", point.name},
                        {"bytes", point.bytes},
                        {"score", point.score},
                        {"interval", {point.low, point.high}},
                        {"on_front", point.on_front}});
    }
    const nlohmann::ordered_json json = {{"setting", advice.choice.name},
                                         {"bytes", advice.choice.bytes},
                                         {"task", front.task},
                                         {"score", advice.choice.score},
                                         {"unit", front.unit},
                                         {"reason", advice.reason},
                                         {"measured", points}};
    fmt::print("{}\n", json.dump(2));
    return {};
  }
  for (const ParetoPoint& point : front.points) {
    fmt::print("{} {:<10} {:8.1f} MB  {:8.4f} [{:.4f}, {:.4f}]{}\n",
               point.name == advice.choice.name ? "->" : "  ", point.name, point.bytes / 1e6, point.score,
               point.low, point.high, point.on_front ? "  front" : "");
  }
  fmt::print("{}\n", advice.reason);
  return {};
}

}  // namespace

Action AddAdvise(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model.model,
                 "A GGUF file, a Hugging Face folder or the name of a model that was pulled")
      ->required();
  app.add_option("--threads", options->model.threads, "Threads")->check(CLI::Range(1, 1024));
  app.add_option("--memory", options->memory, "Bytes of weights, keys and values, such as 120MB")
      ->required()
      ->transform(CLI::AsSizeValue(true));
  app.add_option("--task", options->task,
                 "What the model is for: retrieval, chat, text, or a task of hone eval")
      ->capture_default_str();
  AddTaskOptions(app, options->tasks);
  app.add_option("--settings", options->settings, "The settings to measure, separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--results", options->results,
                 "What hone eval --json wrote for this model, in the place of measuring now")
      ->check(CLI::ExistingFile);
  app.add_option("--context", options->context, "Tokens whose keys and values count as memory")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
