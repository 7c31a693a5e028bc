#include "language/serving/dispatcher.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <map>

#include "core/base/random.h"
#include "language/serving/percentile.h"
#include "language/serving/simulated_machine.h"

namespace hone {
namespace {

// Like the small model of the real tests on two cores: 3.3 ms a prompt row beyond a pass over the weights.
StepCosts SomeCosts() {
  return {.points = {{1, 0.014}, {16, 0.025}, {512, 1.5}}, .seconds_per_decode_entry = 1e-6};
}

struct Ended {
  JobEnd end = JobEnd::kDone;
  double at = 0.0;
  Job job;
};

// One policy on one machine.
struct World {
  explicit World(const std::string& schedule, int64_t pool = 100000, DispatcherOptions options = {},
                 StepCosts costs = SomeCosts(), ServiceObjectives objectives = {})
      : scheduler(*MakeScheduler(schedule, objectives)),
        machine(std::move(costs), pool, scheduler->separate_pools()),
        dispatcher(machine, machine, *scheduler, options) {
    machine.Attach(dispatcher);
    machine.ended = [this](const Job& job, JobEnd end) { ended[job.id] = {end, machine.Now(), job}; };
  }

  JobId Submit(double at, SimulatedJob job, JobRequest request = {}) {
    const JobId id = ++last;
    request.prompt_tokens = job.prompt_tokens;
    request.answer_tokens = job.answer_tokens;
    machine.At(at, [this, id, job, request] {
      machine.Add(id, job);
      if (dispatcher.Submit(id, request)) {
        refused.push_back(id);
      }
    });
    return id;
  }

  std::unique_ptr<Scheduler> scheduler;
  SimulatedMachine machine;
  Dispatcher dispatcher;
  JobId last = 0;
  std::map<JobId, Ended> ended;
  std::vector<JobId> refused;
};

const char* const kSchedules[] = {"prefill-first", "chunked:32", "static:100,100",
                                  "static:30,70",  "semi-pd",    "disaggregated"};

TEST(Scheduler, NamesWhatItKnowsWhereANameIsWrong) {
  for (const char* bad : {"", "fifo", "chunked", "chunked:", "chunked:0", "chunked:1,2", "static:50",
                          "static:0,50", "static:50,101", "semi-pd:1", "static:50,50x"}) {
    const auto made = MakeScheduler(bad, {});
    ASSERT_FALSE(made) << bad;
    EXPECT_EQ(made.error().kind, ErrorKind::kUsage);
    EXPECT_NE(made.error().message.find("chunked:N"), std::string::npos);
  }
  for (const char* good : kSchedules) {
    const auto made = MakeScheduler(good, {});
    ASSERT_TRUE(made) << good;
    EXPECT_EQ((*made)->name(), good);
  }
}

TEST(Dispatcher, FinishesEveryJobUnderEverySchedule) {
  for (const char* schedule : kSchedules) {
    World world(schedule);
    for (int i = 0; i < 40; ++i) world.Submit(0.1 * i, {100 + 10 * (i % 7), 5 + i % 11});
    world.machine.Run();
    ASSERT_EQ(world.ended.size(), 40u) << schedule;
    for (const auto& [id, ended] : world.ended) {
      EXPECT_EQ(ended.end, JobEnd::kDone);
      EXPECT_EQ(ended.job.answered, 5 + static_cast<int64_t>(id - 1) % 11);
      EXPECT_GE(ended.job.times.first_token, ended.job.times.arrival);
    }
    EXPECT_TRUE(world.dispatcher.idle());
    EXPECT_EQ(world.machine.used_tokens(), 0);
  }
}

// The longest time between two tokens of a job that decodes while another's long prompt is read.
double LongestStep(const std::string& schedule) {
  World world(schedule);
  world.Submit(0.0, {20, 100});
  world.Submit(0.3, {2000, 1});
  world.machine.Run();
  const DispatcherState state = world.dispatcher.state();
  // The first job's whole answer, less what it takes alone.
  World alone(schedule);
  alone.Submit(0.0, {20, 100});
  alone.machine.Run();
  EXPECT_GT(state.lanes[0].steps, 0);
  return world.ended.at(1).at - alone.ended.at(1).at;
}

TEST(Scheduler, PrefillFirstStallsAnswersAndChunksAndSecondLanesDoNot) {
  const double stalled = LongestStep("prefill-first");
  EXPECT_GT(stalled, 5.0) << "2000 rows at 3 ms stand in the way";
  EXPECT_LT(LongestStep("static:50,50"), 2.0) << "half the speed for the rest of the answer";
  EXPECT_LT(LongestStep("chunked:32"), stalled);
}

TEST(Scheduler, ChunkedTakesAllThatDecodeAndFillsUpWithPrompt) {
  const auto scheduler = MakeScheduler("chunked:20", {});
  std::vector<Job> jobs(4);
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].id = i + 1;
    jobs[i].wanted = i < 2 ? 1 : 15;
  }
  const Job* decode[] = {&jobs[0], &jobs[1]};
  const Job* prefill[] = {&jobs[2], &jobs[3]};
  Step step;
  (*scheduler)->Plan({prefill, decode}, {}, step);
  ASSERT_EQ(step.items.size(), 4u);
  EXPECT_EQ(step.items[2].rows, 15);
  EXPECT_EQ(step.items[3].rows, 3);
  EXPECT_EQ(step.rows(), 20);
}

TEST(Dispatcher, ServesTenantsInTurnsHoweverManyRequestsOneHas) {
  World world("prefill-first", 100000, {.limits = {.step_rows = 100, .batch = 1}});
  for (int i = 0; i < 20; ++i) world.Submit(0.0, {100, 2}, {.tenant = "many"});
  const JobId single = world.Submit(0.01, {100, 2}, {.tenant = "one"});
  world.machine.Run();
  int before = 0;
  for (const auto& [id, ended] : world.ended) before += ended.at < world.ended.at(single).at ? 1 : 0;
  EXPECT_LE(before, 2) << "the single request waits for the one under way, not for twenty";
}

TEST(Dispatcher, ServesHigherPrioritiesFirst) {
  World world("prefill-first", 100000, {.limits = {.step_rows = 100, .batch = 1}});
  for (int i = 0; i < 10; ++i) world.Submit(0.0, {100, 2});
  const JobId urgent = world.Submit(0.01, {100, 2}, {.priority = 1});
  world.machine.Run();
  int before = 0;
  for (const auto& [id, ended] : world.ended) before += ended.at < world.ended.at(urgent).at ? 1 : 0;
  EXPECT_EQ(before, 1);
}

TEST(Dispatcher, GivesIdleTenantsNoCredit) {
  World world("prefill-first", 100000, {.limits = {.step_rows = 100, .batch = 1}});
  for (int i = 0; i < 30; ++i) world.Submit(0.0, {100, 2}, {.tenant = "early"});
  for (int i = 0; i < 30; ++i) world.Submit(3.0, {100, 2}, {.tenant = "late"});
  world.machine.Run();
  // From the moment when both wait, they take turns: the late one does not catch up first.
  int early = 0;
  int late = 0;
  for (const auto& [id, ended] : world.ended) {
    if (ended.at < 3.5 || ended.at > 6.0) continue;
    ++(ended.job.tenant == "late" ? late : early);
  }
  EXPECT_GT(early, 2);
  EXPECT_NEAR(early, late, 2);
}

TEST(Dispatcher, RefusesWhenTheQueueIsFullAndSaysWhenToAskAgain) {
  World world("prefill-first", 100000, {.limits = {.step_rows = 100, .batch = 1}, .max_waiting = 5});
  for (int i = 0; i < 20; ++i) world.Submit(0.0, {100, 10});
  world.machine.Run();
  EXPECT_EQ(world.refused.size(), 14u) << "one runs, five wait";
  EXPECT_EQ(world.ended.size(), 6u);
  EXPECT_EQ(world.dispatcher.state().refused, 14);
}

TEST(Dispatcher, PreemptsTheMostJuniorAndFinishesAll) {
  for (const char* schedule : kSchedules) {
    // Ten answers of 160 entries each, room for three and a half.
    World world(schedule, std::string(schedule) == "disaggregated" ? 1200 : 600);
    for (int i = 0; i < 10; ++i) world.Submit(0.01 * i, {32, 128});
    world.machine.Run();
    ASSERT_EQ(world.ended.size(), 10u) << schedule;
    for (const auto& [id, ended] : world.ended) EXPECT_EQ(ended.end, JobEnd::kDone) << schedule;
    EXPECT_EQ(world.ended.at(1).job.preemptions, 0) << "the most senior is never the victim";
    EXPECT_GT(world.dispatcher.state().preemptions, 0) << schedule;
  }
}

TEST(Dispatcher, EndsWhatCannotFitAlone) {
  for (const char* schedule : kSchedules) {
    World world(schedule, 512);
    const JobId large = world.Submit(0.0, {600, 10});
    for (int i = 0; i < 3; ++i) world.Submit(0.1, {40, 10});
    world.machine.Run();
    EXPECT_EQ(world.ended.at(large).end, JobEnd::kTooLarge) << schedule;
    for (JobId id = 2; id <= 4; ++id) EXPECT_EQ(world.ended.at(id).end, JobEnd::kDone) << schedule;
  }
}

TEST(Dispatcher, DropsSpeculativeWorkThatIsLateOrInTheWay) {
  World world("chunked:64", 320);
  const JobId main = world.Submit(0.0, {64, 220});
  const JobId call = world.Submit(0.1, {64, 200}, {.deadline = 100.0, .speculative = true});
  const JobId late = world.Submit(0.2, {32, 200}, {.deadline = 0.5, .speculative = true});
  world.machine.Run();
  EXPECT_EQ(world.ended.at(main).end, JobEnd::kDone);
  EXPECT_EQ(world.ended.at(main).job.preemptions, 0);
  EXPECT_EQ(world.ended.at(call).end, JobEnd::kLate) << "its pages were needed";
  EXPECT_EQ(world.ended.at(late).end, JobEnd::kLate);
  EXPECT_LT(world.ended.at(late).at, 1.0);
}

TEST(Dispatcher, HoldsAJobBackUntilThePromptItSharesIsRead) {
  World world("chunked:64");
  const JobId first = world.Submit(0.0, {1000, 50});
  const JobId second = world.Submit(0.0, {1000, 50, 960}, {.after = first});
  world.machine.Run();
  EXPECT_GE(world.ended.at(second).job.times.admitted, world.ended.at(first).job.times.first_token);
  EXPECT_LT(world.ended.at(second).job.times.admitted, world.ended.at(first).at);
  EXPECT_EQ(world.ended.at(second).job.reused, 960);
}

TEST(Dispatcher, CancelsInTheQueueInPrefillAndInDecode) {
  for (const char* schedule : kSchedules) {
    World world(schedule, 100000, {.limits = {.step_rows = 64, .batch = 2}});
    const JobId decoding = world.Submit(0.0, {10, 1000});
    const JobId reading = world.Submit(0.5, {100000, 10});
    const JobId waiting = world.Submit(0.6, {10, 10});
    for (const JobId id : {waiting, decoding, reading}) {
      world.machine.At(2.0, [&world, id] { world.dispatcher.Cancel(id); });
    }
    world.machine.Run();
    EXPECT_EQ(world.ended.at(waiting).at, 2.0) << schedule;
    for (const JobId id : {decoding, reading}) {
      EXPECT_EQ(world.ended.at(id).end, JobEnd::kCancelled) << schedule;
      EXPECT_LT(world.ended.at(id).at, 2.5) << schedule << ": within one step";
    }
    EXPECT_EQ(world.machine.used_tokens(), 0);
  }
}

// Whatever comes when, and is cancelled when: every job ends exactly once, the pool comes back whole, nobody
// waits for ever.
RC_GTEST_PROP(Dispatcher, EndsEveryJobOnce, ()) {
  const auto schedule =
      *rc::gen::elementOf(std::vector<std::string>(std::begin(kSchedules), std::end(kSchedules)));
  const auto pool = *rc::gen::inRange<int64_t>(64, 3000);
  World world(schedule, pool,
              {.limits = {.step_rows = *rc::gen::inRange<int64_t>(1, 200),
                          .batch = *rc::gen::inRange<int64_t>(1, 20)},
               .max_waiting = *rc::gen::inRange<int64_t>(1, 30)});
  const int jobs = *rc::gen::inRange(1, 40);
  for (int i = 0; i < jobs; ++i) {
    const double at = *rc::gen::inRange(0, 3000) / 1000.0;
    JobRequest request;
    request.tenant = std::string(1, static_cast<char>('a' + *rc::gen::inRange(0, 3)));
    request.priority = *rc::gen::inRange(0, 3);
    request.speculative = *rc::gen::inRange(0, 8) == 0;
    if (request.speculative) request.deadline = at + *rc::gen::inRange(0, 3000) / 1000.0;
    request.after =
        i > 0 && *rc::gen::inRange(0, 4) == 0 ? static_cast<JobId>(*rc::gen::inRange(1, i + 1)) : kNoJob;
    const JobId id = world.Submit(at,
                                  {*rc::gen::inRange<int64_t>(1, 400), *rc::gen::inRange<int64_t>(1, 60),
                                   *rc::gen::inRange<int64_t>(0, 200)},
                                  request);
    if (*rc::gen::inRange(0, 5) == 0) {
      world.machine.At(at + *rc::gen::inRange(0, 2000) / 1000.0,
                       [&world, id] { world.dispatcher.Cancel(id); });
    }
  }
  world.machine.Run(1e6);
  RC_ASSERT(world.dispatcher.idle());
  RC_ASSERT(world.ended.size() + world.refused.size() == static_cast<size_t>(jobs));
  RC_ASSERT(world.machine.used_tokens(0) == 0);
  RC_ASSERT(world.machine.used_tokens(1) == 0);
}

// Arrivals at a rate, chat-like lengths.
void Load(World& world, double rate, int jobs, uint64_t seed, int64_t prompt, int64_t answer) {
  double at = 0.0;
  for (int i = 0; i < jobs; ++i) {
    const auto position = static_cast<uint64_t>(i);
    at += -std::log(1.0 - RandomUniformDouble(seed, position, 0)) / rate;
    const double spread = std::exp(RandomUniformDouble(seed, position, 1) - 0.5);
    world.Submit(at, {static_cast<int64_t>(static_cast<double>(prompt) * spread),
                      static_cast<int64_t>(static_cast<double>(answer) * spread)});
  }
}

TEST(SemiPd, MovesItsSharesTowardsThePhaseThatMisses) {
  const ServiceObjectives objectives{.ttft_seconds = 2.0, .tpot_seconds = 0.06};
  World prompts("semi-pd", 100000, {}, SomeCosts(), objectives);
  Load(prompts, 0.8, 150, 1, 300, 8);
  prompts.machine.Run();
  const Shares towards_prefill = prompts.dispatcher.state().shares;
  World answers("semi-pd", 100000, {}, SomeCosts(), objectives);
  Load(answers, 1.4, 150, 1, 60, 120);
  answers.machine.Run();
  const Shares towards_decode = answers.dispatcher.state().shares;
  EXPECT_GT(towards_prefill.prefill / towards_prefill.decode, towards_decode.prefill / towards_decode.decode);
}

}  // namespace
}  // namespace hone
