#include "evaluation/reproduce/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

Report Sample() {
  Report report;
  report.experiment = "sample";
  report.paper = "A Paper (arXiv 0000.00000)";
  report.machine = "some processor (avx2)";
  report.threads = 2;
  report.free_cores_before = 1.98;
  report.free_cores_after = 1.97;
  report.models = {"tiny"};
  report.Add(Aspect::kSpeed, "tiny", "decode speed-up", 1.9, "x").AtLeast(1.8).Paper("2.4 (7B, A100)");
  report.Add(Aspect::kSpeed, "tiny", "prefill speed-up", 1.3, "x").Within(0.7, 1.1).Difference("faster here");
  report.Add(Aspect::kMemory, "tiny", "weights", 98.4e6, "bytes");
  return report;
}

TEST(Finding, TakesItsVerdictFromTheBound) {
  const auto verdict = [](double measured, auto judge) {
    Finding finding;
    finding.measured = measured;
    judge(finding);
    return finding.verdict;
  };
  EXPECT_EQ(verdict(2.0, [](Finding& f) { f.AtLeast(2.0); }), Verdict::kHolds);
  EXPECT_EQ(verdict(1.99, [](Finding& f) { f.AtLeast(2.0); }), Verdict::kDiffers);
  EXPECT_EQ(verdict(2.01, [](Finding& f) { f.AtMost(2.0); }), Verdict::kDiffers);
  EXPECT_EQ(verdict(0.5, [](Finding& f) { f.Within(0.4, 0.6); }), Verdict::kHolds);
  EXPECT_EQ(verdict(NAN, [](Finding& f) { f.AtLeast(0.0); }), Verdict::kDiffers);
  EXPECT_EQ(verdict(1.0, [](Finding&) {}), Verdict::kReported);
}

TEST(Report, IsQuietOnlyWhereTheMachineGaveTheThreadsTheirCores) {
  Report report = Sample();
  EXPECT_TRUE(report.quiet());
  EXPECT_EQ(ReportText(report).find("not to be relied on"), std::string::npos);
  report.free_cores_after = 1.2;
  EXPECT_FALSE(report.quiet());
  EXPECT_NE(ReportText(report).find("not to be relied on"), std::string::npos);
}

TEST(Report, ShowsClaimMeasurementVerdictAndDifference) {
  const std::string text = ReportText(Sample());
  EXPECT_NE(text.find("tiny  decode speed-up    1.90 x  >= 1.8      holds     paper: 2.4 (7B, A100)\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("0.7 to 1.1  differs\n          faster here\n"), std::string::npos) << text;
  EXPECT_NE(text.find("98.4 MB"), std::string::npos) << text;
  EXPECT_NE(text.find("1 of 2 claims hold here"), std::string::npos) << text;
  EXPECT_LT(text.find("\nspeed\n"), text.find("\nmemory\n"));
}

TEST(Report, IsOneJsonObject) {
  const auto json = nlohmann::json::parse(ReportJson(Sample()));
  EXPECT_EQ(json["quiet"], true);
  ASSERT_EQ(json["findings"].size(), 3u);
  EXPECT_EQ(json["findings"][1]["verdict"], "differs");
  EXPECT_EQ(json["findings"][1]["expected"], "0.7 to 1.1");
  EXPECT_EQ(json["findings"][2]["aspect"], "memory");
}

}  // namespace
}  // namespace hone
