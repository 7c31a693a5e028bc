#include "evaluation/reproduce/experiment.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "scratch_folder.h"

namespace hone {
namespace {

Result<void> Measure(ExperimentContext& context, Report& report) {
  HONE_TRY(const auto text, context.ReadText());
  report.text = text.name;
  HONE_CHECK_OK(context.Step(1, 2));
  report.Add(Aspect::kQuality, "", "bytes", static_cast<double>(text.second_half.size()), "bytes");
  HONE_TRY(const std::string folder, context.Folder());
  report.notes.push_back(folder);
  return context.Step(2, 2);
}
constexpr Experiment kSample{"sample", "A Paper", "measures a text", Measure};

TEST(Experiment, RunsInAFrameThatNamesTheMachineAndCleansUp) {
  const ScratchFolder folder;
  ExperimentOptions options;
  options.threads = 1;
  options.text = folder.Write("text", "a line\nanother line\nthe last\n");
  const auto report = RunExperiment(kSample, options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->experiment, "sample");
  EXPECT_EQ(report->text, options.text);
  EXPECT_EQ(report->threads, 1);
  EXPECT_GT(report->free_cores_before, 0.0);
  EXPECT_GT(report->free_cores_after, 0.0);
  EXPECT_FALSE(report->machine.empty());
  EXPECT_EQ(report->findings[0].measured, 9.0);  // "the last\n"
  EXPECT_FALSE(std::filesystem::exists(report->notes[0]));
}

TEST(Experiment, EndsWhereTheUserInterrupts) {
  const ScratchFolder folder;
  const std::atomic<bool> cancel{true};
  ExperimentOptions options;
  options.threads = 1;
  options.text = folder.Write("text", "a line\nanother line\n");
  options.cancel = &cancel;
  const auto report = RunExperiment(kSample, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::kInterrupted);
}

TEST(Experiment, TellsHowToFetchWhatIsMissing) {
  const ScratchFolder folder;
  setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  const ExperimentContext context({});
  constexpr std::string_view kModels[] = {"smollm2-135m"};
  const auto models = context.Models(kModels);
  ASSERT_FALSE(models);
  EXPECT_NE(models.error().message.find("hone pull smollm2-135m"), std::string::npos);
  const auto text = context.ReadText();
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().message.find("hone pull shakespeare"), std::string::npos);
}

TEST(Experiment, RefusesATextOfOneLine) {
  const ScratchFolder folder;
  ExperimentOptions options;
  options.text = folder.Write("text", "one line");
  const auto text = ExperimentContext(options).ReadText();
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::kBadInput);
}

TEST(Experiments, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const Experiment& experiment : Experiments()) {
    EXPECT_TRUE(names.insert(experiment.name).second) << experiment.name;
    EXPECT_FALSE(experiment.paper.empty());
    EXPECT_FALSE(experiment.summary.empty());
    EXPECT_EQ(FindExperiment(experiment.name), &experiment);
  }
  EXPECT_EQ(FindExperiment("unheard-of"), nullptr);
}

}  // namespace
}  // namespace hone
