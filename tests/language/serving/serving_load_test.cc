#include "language/serving/serving_load.h"
#include "language/serving/measure_costs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "language/serving/percentile.h"
#include "language/serving/serving_fixture.h"
#include "scratch_folder.h"

namespace hone {
namespace {

double MeanGap(const std::vector<LoadRequest>& load) {
  return load.back().at / static_cast<double>(load.size());
}

double GapVariation(const std::vector<LoadRequest>& load) {
  double sum = 0.0;
  double squares = 0.0;
  for (size_t i = 1; i < load.size(); ++i) {
    const double gap = load[i].at - load[i - 1].at;
    sum += gap;
    squares += gap * gap;
  }
  const double n = static_cast<double>(load.size() - 1);
  return std::sqrt(squares / n - sum / n * sum / n) / (sum / n);
}

TEST(Traffic, ComesAtTheRateAndInTheLengthsAskedFor) {
  TrafficOptions options{.rate = 4.0, .requests = 20000, .prompt_median = 100.0, .most_prompt = 100000};
  const auto poisson = MakeLoad(options);
  EXPECT_NEAR(MeanGap(poisson), 0.25, 0.01);
  EXPECT_NEAR(GapVariation(poisson), 1.0, 0.05);
  std::vector<double> prompts;
  for (const LoadRequest& request : poisson) prompts.push_back(static_cast<double>(request.prompt_tokens));
  EXPECT_NEAR(Percentile(prompts, 0.5), 100.0, 3.0);
  EXPECT_NEAR(std::log(Percentile(prompts, 0.8413) / Percentile(prompts, 0.5)), 0.6, 0.03);
  options.arrivals = Arrivals::kBursty;
  const auto bursty = MakeLoad(options);
  EXPECT_NEAR(MeanGap(bursty), 0.25, 0.02);
  EXPECT_NEAR(GapVariation(bursty), 2.0, 0.15);
  const auto again = MakeLoad(options);
  EXPECT_EQ(again.back().at, bursty.back().at) << "the same seed gives the same load";
}

TEST(Traffic, ReadsATraceAndScalesItsRate) {
  const ScratchFolder folder;
  const std::string file = folder.Write("trace.csv",
                                        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                                        "2023-11-16 23:59:58.0000000,374,44\n"
                                        "2023-11-17 00:00:00.5000000,9000,109\n"
                                        "2023-11-17 00:00:08.0000000,200,1\n");
  const auto load = ReadTrace(file, {.rate = 3.0, .most_prompt = 512, .most_answer = 64});
  ASSERT_TRUE(load) << load.error().message;
  ASSERT_EQ(load->size(), 3u);
  EXPECT_DOUBLE_EQ((*load)[1].at, 0.25);
  EXPECT_DOUBLE_EQ((*load)[2].at, 1.0);
  EXPECT_EQ((*load)[1].prompt_tokens, 512);
  EXPECT_EQ((*load)[1].answer_tokens, 64);
  for (const char* bad : {"h\n1,2\n3,4\n", "h\n1,2,3\n", "h\nx,1,1\ny,1,1\n", ""}) {
    EXPECT_FALSE(ReadTrace(folder.Write("bad.csv", bad), {})) << bad;
  }
}

TEST(Summary, CountsWhoKeptBothObjectives) {
  const ServiceObjectives objectives{.ttft_seconds = 1.0, .tpot_seconds = 0.1};
  std::vector<ServedRequestTimes> served(4);
  served[0] = {true, 11, {.arrival = 0.0, .first_token = 0.5, .last_token = 1.0}, 0.05};  // keeps both
  served[1] = {true, 11, {.arrival = 1.0, .first_token = 2.5, .last_token = 3.0}, 0.05};  // late first token
  served[2] = {true, 11, {.arrival = 2.0, .first_token = 2.5, .last_token = 5.0}, 0.5};   // slow tokens
  served[3] = {false, 0, {.arrival = 3.0}, 0.0};                                          // refused
  const LoadSummary summary = Summarize(served, objectives);
  EXPECT_EQ(summary.done, 3);
  EXPECT_DOUBLE_EQ(summary.attainment, 0.25);
  EXPECT_DOUBLE_EQ(summary.seconds, 5.0);
  EXPECT_DOUBLE_EQ(summary.goodput, 0.2);
  EXPECT_DOUBLE_EQ(summary.tokens_per_second, 33.0 / 5.0);
  EXPECT_DOUBLE_EQ(summary.ttft_p90, 1.5);
}

TEST(StepCosts, AreReadBackAsTheyWereWritten) {
  const StepCosts costs{.points = {{1, 0.01}, {64, 0.05}}, .seconds_per_decode_entry = 1e-6, .paired = 1.1};
  const auto read = ParseStepCosts(StepCostsJson(costs), "x");
  ASSERT_TRUE(read);
  EXPECT_DOUBLE_EQ(read->Seconds({.rows = 32, .decode_context = 1000}),
                   costs.Seconds({.rows = 32, .decode_context = 1000}));
  EXPECT_NEAR(costs.Seconds({.rows = 127}), 0.05 + 0.04, 1e-12) << "goes on beyond the last point";
  for (const char* bad :
       {"[]", "{}", R"({"points": [[2, 1], [1, 1]]})", R"({"points": [[1, -1]]})", R"({"points": [1]})"}) {
    EXPECT_FALSE(ParseStepCosts(bad, "x")) << bad;
  }
}

TEST(StepCosts, TellAnswersFromPromptsWhereBothWereMeasured) {
  // A row of a prompt takes 2 ms, a row of an answer 3: its logits.
  const StepCosts costs{.points = {{1, 0.013}, {64, 0.013 + 63 * 0.003}},
                        .prompt_points = {{1, 0.013}, {512, 0.013 + 511 * 0.002}}};
  EXPECT_NEAR(costs.Seconds({.rows = 512}), 0.013 + 511 * 0.002, 1e-12);
  EXPECT_NEAR(costs.Seconds({.rows = 11, .decode_rows = 11}), 0.013 + 10 * 0.003, 1e-12);
  EXPECT_NEAR(costs.Seconds({.rows = 61, .decode_rows = 11}), 0.013 + 60 * 0.002 + 10 * 0.001, 1e-12);
  const auto read = ParseStepCosts(StepCostsJson(costs), "x");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->Seconds({.rows = 61, .decode_rows = 11}), costs.Seconds({.rows = 61, .decode_rows = 11}));
  EXPECT_FALSE(ParseStepCosts(R"({"points": [[1, 1]], "prompt_points": [[2, 1], [2, 1]]})", "x"));
}

TEST(Simulation, ClosedClientsAskOneAfterTheOther) {
  const StepCosts costs{.points = {{1, 0.01}, {512, 0.5}}};
  TrafficOptions traffic{.arrivals = Arrivals::kClosed, .clients = 2, .requests = 20};
  const auto load = MakeLoad(traffic);
  const auto served = SimulateLoad(costs, {.schedule = "chunked:64"}, load, traffic);
  ASSERT_TRUE(served);
  for (const ServedRequestTimes& request : *served) {
    EXPECT_TRUE(request.done);
    int under_way = 0;
    for (const ServedRequestTimes& other : *served) {
      under_way +=
          other.times.arrival <= request.times.arrival && other.times.last_token > request.times.arrival ? 1
                                                                                                         : 0;
    }
    EXPECT_LE(under_way, 2);
  }
}

TEST(Simulation, ShowsThatPrefillFirstStallsAnswersWhereTwoLanesDoNot) {
  // The dossier's machine: 3.3 ms a prompt row beyond a pass of 13.5 ms.
  const StepCosts costs{.points = {{1, 0.0135}, {512, 0.0135 + 511 * 0.0033}}};
  TrafficOptions traffic{.rate = 0.8, .requests = 300};
  const auto load = MakeLoad(traffic);
  const ServiceObjectives objectives{.ttft_seconds = 4.0, .tpot_seconds = 0.06};
  const auto longest_gap = [&](const std::string& schedule) {
    const auto served = SimulateLoad(costs, {.schedule = schedule, .objectives = objectives}, load, traffic);
    EXPECT_TRUE(served);
    return Summarize(*served, objectives).gap_p99;
  };
  const double prefill_first = longest_gap("prefill-first");
  EXPECT_GT(prefill_first, 0.5);
  EXPECT_LT(longest_gap("static:100,100"), 0.5 * prefill_first);
  EXPECT_LT(longest_gap("semi-pd"), prefill_first);
}

TEST(PlayLoad, ServesALoadInRealTime) {
  testing::TinyServer server({.schedule = "semi-pd", .step_rows = 64, .prefix_cache = false});
  const TrafficOptions traffic{.rate = 200.0,
                               .requests = 40,
                               .prompt_median = 30,
                               .answer_median = 8,
                               .most_prompt = 100,
                               .most_answer = 20};
  const auto load = MakeLoad(traffic);
  const auto served = PlayLoad(*server.serving, load, traffic);
  ASSERT_TRUE(served) << served.error().message;
  int64_t tokens = 0;
  for (size_t i = 0; i < load.size(); ++i) {
    EXPECT_TRUE((*served)[i].done);
    EXPECT_EQ((*served)[i].answer_tokens, load[i].answer_tokens);
    tokens += load[i].answer_tokens;
  }
  EXPECT_EQ(server.serving->state().answer_tokens, tokens);
}

TEST(MeasureStepCosts, FindsThatMoreRowsTakeLonger) {
  const testing::TinyEngine tiny;
  const auto costs = MeasureStepCosts(tiny.model, *tiny.engine, NumericMode::kFast, 64);
  ASSERT_TRUE(costs) << costs.error().message;
  ASSERT_EQ(costs->points.size(), 7u);
  EXPECT_GT(costs->points.back().seconds, costs->points.front().seconds);
}

}  // namespace
}  // namespace hone
