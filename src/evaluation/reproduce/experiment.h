// `hone reproduce`: one experiment a paper, one file an experiment, one explicit table.
//
// An experiment runs the baseline and the technique in this process, on real input, and fills a Report. It
// reads models and text through its context, so that a user can put his own in their place.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "evaluation/reproduce/report.h"
#include "language/models/model.h"

namespace hone {

struct ExperimentOptions {
  std::vector<std::string> models;  // names or paths in the place of the experiment's own
  std::string text;                 // a file in the place of the text that is pulled
  bool full = false;                // the long form, where the experiment has one
  int threads = 0;                  // 0: DefaultThreads()
  bool progress = false;            // a progress bar on standard error
  const std::atomic<bool>* cancel = nullptr;
};

class ExperimentContext {
 public:
  explicit ExperimentContext(ExperimentOptions options);

  const ExperimentOptions& options() const { return options_; }
  int threads() const { return options_.threads; }

  // The names of the models to run: the user's, else `own`. A model that is not on this machine is an error
  // that tells how to fetch it.
  Result<std::vector<std::string>> Models(std::span<const std::string_view> own) const;

  // A text that real models were not asked to fit: the user's file, else the pulled one. `first_half` is for
  // calibration, `second_half` for tests; cut at the end of a line.
  struct Text {
    std::string name;
    std::string first_half;
    std::string second_half;
  };
  Result<Text> ReadText() const;

  // A folder of this run for files that the experiment makes (F16 copies, random models); removed at the end.
  Result<std::string> Folder();

  // The bar: `done` of `total` steps. An error where the user has interrupted.
  Result<void> Step(int64_t done, int64_t total);

  ~ExperimentContext();
  ExperimentContext(const ExperimentContext&) = delete;
  ExperimentContext& operator=(const ExperimentContext&) = delete;

 private:
  ExperimentOptions options_;
  std::string folder_;
  std::unique_ptr<Progress> bar_;
};

struct Experiment {
  std::string_view name;   // as users type it
  std::string_view paper;  // "FlashDecoding++ (arXiv 2311.01282)"
  std::string_view summary;
  // Fills models, text, findings and notes; the rest of the report is the frame's.
  Result<void> (*run)(ExperimentContext& context, Report& report);
};

std::span<const Experiment> Experiments();
// Null where there is none.
const Experiment* FindExperiment(std::string_view name);

// Probes that the machine gives the threads their cores, runs, probes again.
Result<Report> RunExperiment(const Experiment& experiment, const ExperimentOptions& options);

// The experiments, each in the file of its name.
Result<void> ReproduceFlashDecodingPlusPlus(ExperimentContext& context, Report& report);
Result<void> ReproduceMixed2Bit(ExperimentContext& context, Report& report);
Result<void> ReproduceQllmEval(ExperimentContext& context, Report& report);
Result<void> ReproduceSemiPd(ExperimentContext& context, Report& report);
Result<void> ReproduceSurveyBreakdown(ExperimentContext& context, Report& report);
Result<void> ReproduceSurveyQuantization(ExperimentContext& context, Report& report);
Result<void> ReproduceSurveyServing(ExperimentContext& context, Report& report);

}  // namespace hone
