#include <algorithm>
#include <charconv>
#include <vector>

#include "language/serving/scheduler.h"

namespace hone {
namespace {

int64_t WantedRows(const Job& job) { return std::max<int64_t>(job.wanted, 1); }

// All that decode, as many rows as there is room for; returns the rows taken.
int64_t AddDecode(std::span<const Job* const> jobs, int64_t room, Step& step) {
  int64_t taken = 0;
  for (const Job* job : jobs) {
    const int64_t rows = std::min(WantedRows(*job), room - taken);
    if (rows <= 0) break;
    step.items.push_back({job->id, rows});
    taken += rows;
  }
  return taken;
}

void AddPrefill(std::span<const Job* const> jobs, int64_t room, Step& step) {
  for (const Job* job : jobs) {
    if (room <= 0) break;
    const int64_t rows = std::min(WantedRows(*job), room);
    step.items.push_back({job->id, rows});
    room -= rows;
  }
}

class PrefillFirst : public Scheduler {
 public:
  std::string name() const override { return "prefill-first"; }
  void Plan(const LaneWork& work, const SchedulerLimits& limits, Step& step) const override {
    if (work.prefill.empty()) {
      AddDecode(work.decode, limits.step_rows, step);
    } else {
      AddPrefill(work.prefill, limits.step_rows, step);
    }
  }
};

class Chunked : public Scheduler {
 public:
  explicit Chunked(int64_t budget) : budget_(budget) {}
  std::string name() const override { return fmt::format("chunked:{}", budget_); }
  int64_t prefill_rows(const SchedulerLimits& limits) const override {
    return std::min(budget_, limits.step_rows);
  }
  void Plan(const LaneWork& work, const SchedulerLimits& limits, Step& step) const override {
    const int64_t decode = AddDecode(work.decode, limits.step_rows, step);
    // A batch as large as the budget must not lock prompts out for ever.
    const int64_t least = work.decode.empty() ? 0 : 1;
    AddPrefill(work.prefill, std::min(limits.step_rows - decode, std::max(budget_ - decode, least)), step);
  }

 private:
  int64_t budget_;
};

// Two loops: prompts on lane 0, answers on lane 1. A step of prompts takes no more rows than the products
// need to run at full speed: a larger one would only keep the first of its prompts waiting for the last.
constexpr int64_t kPromptRows = 128;
class TwoLanes : public Scheduler {
 public:
  explicit TwoLanes(Shares shares) : shares_(shares) {}
  std::string name() const override {
    return fmt::format("static:{:g},{:g}", shares_.prefill, shares_.decode);
  }
  int lanes() const override { return 2; }
  Shares shares() const override { return shares_; }
  void Plan(const LaneWork& work, const SchedulerLimits& limits, Step& step) const override {
    if (step.lane == 0) {
      AddPrefill(work.prefill, std::min(kPromptRows, limits.step_rows), step);
    } else {
      AddDecode(work.decode, limits.step_rows, step);
    }
  }

 private:
  Shares shares_;
};

class SemiPd : public TwoLanes {
 public:
  explicit SemiPd(const ServiceObjectives& objectives) : TwoLanes({}), controller_(objectives) {}
  std::string name() const override { return "semi-pd"; }
  Shares shares() const override { return controller_.shares(); }
  ShareController* controller() override { return &controller_; }

 private:
  ShareController controller_;
};

class Disaggregated : public TwoLanes {
 public:
  Disaggregated() : TwoLanes({50.0, 50.0}) {}
  std::string name() const override { return "disaggregated"; }
  bool separate_pools() const override { return true; }
};

// "12,34" as numbers; empty where it is not that.
std::vector<double> Numbers(std::string_view text) {
  std::vector<double> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    double value = 0.0;
    const auto [next, status] = std::from_chars(at, end, value);
    if (status != std::errc()) return {};
    numbers.push_back(value);
    if (next == end) return numbers;
    if (*next != ',' || next + 1 == end) return {};
    at = next + 1;
  }
  return {};
}

bool IsShare(double value) { return value >= 1.0 && value <= 100.0; }

}  // namespace

Result<std::unique_ptr<Scheduler>> MakeScheduler(std::string_view name, const ServiceObjectives& objectives) {
  const std::string_view kind = name.substr(0, name.find(':'));
  const std::vector<double> numbers =
      kind.size() < name.size() ? Numbers(name.substr(kind.size() + 1)) : std::vector<double>();
  const bool plain = kind.size() == name.size();
  if (kind == "prefill-first" && plain) return std::make_unique<PrefillFirst>();
  if (kind == "semi-pd" && plain) return std::make_unique<SemiPd>(objectives);
  if (kind == "disaggregated" && plain) return std::make_unique<Disaggregated>();
  if (kind == "chunked" && numbers.size() == 1 && numbers[0] >= 1.0 && numbers[0] <= 1e6) {
    return std::make_unique<Chunked>(static_cast<int64_t>(numbers[0]));
  }
  if (kind == "static" && numbers.size() == 2 && IsShare(numbers[0]) && IsShare(numbers[1])) {
    return std::make_unique<TwoLanes>(Shares{numbers[0], numbers[1]});
  }
  return WrongUsage(
      "--schedule: found \"{}\", expected prefill-first, chunked:N (rows a step, 1 to 1000000), static:X,Y "
      "(percent, 1 to 100), semi-pd or disaggregated",
      name);
}

}  // namespace hone
