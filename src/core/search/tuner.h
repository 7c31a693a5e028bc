// One tuner for whatever can be enumerated and measured: kernels now, energy and accelerator mappings later.
// A space says what can be chosen, a meter what a choice costs, an objective which cost is the better one.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

// One value for each dimension of a space.
using Configuration = std::vector<int64_t>;

struct Space {
  std::vector<std::vector<int64_t>> dimensions;  // the values of each
  // Whether a combination makes sense; absent: all do.
  std::function<bool(const Configuration&)> valid;

  std::vector<Configuration> Enumerate() const;
};

// Where a reading comes from. It is printed with every figure: a modelled joule is never called a measured
// one.
enum class MeterKind : uint8_t { kMeasured, kReplayed, kModelled };
std::string_view Name(MeterKind kind);

struct Meter {
  MeterKind kind = MeterKind::kMeasured;
  // The quantities of one reading, such as {seconds} or {seconds, joules}.
  std::function<Result<std::vector<double>>(const Configuration&)> read;
};

// The cost of a reading: less is better.
using Objective = std::function<double(const std::vector<double>& reading)>;

struct TunerOptions {
  int rounds = 5;  // readings of what stays in the race
  double slack =
      0.3;  // after each round whatever costs more than (1 + slack) times the least leaves the race
};

struct Candidate {
  Configuration configuration;
  int readings = 0;
  double cost = 0.0;  // the median of its readings
};

// Every configuration is read once; those that stay in the race are read in turn, round by round, so that a
// disturbance hits all of them alike and the least cost is not the luckiest reading. Candidates by rising
// cost: what was read in every round first.
Result<std::vector<Candidate>> Tune(const Space& space, const Meter& meter, const Objective& objective,
                                    const TunerOptions& options = {});

}  // namespace hone
