// What /metrics counts of requests: by status, and how long they took.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace hone {

// Counts of durations by upper bound, as Prometheus takes them.
class DurationHistogram {
 public:
  static constexpr std::array<double, 14> kBounds{0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,
                                                  1.0,   2.5,  5.0,   10.0, 30.0, 60.0, 300.0};
  void Add(double seconds);
  // Lines of the text format.
  std::string Text(const std::string& name, const std::string& help) const;

 private:
  std::array<int64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0.0;
  int64_t count_ = 0;
};

struct ApiCounters {
  std::mutex mutex;                          // guards what follows
  std::map<int, int64_t> responses;          // by status
  std::map<std::string, int64_t> under_way;  // by tenant
  DurationHistogram first_token;
  DurationHistogram per_token;
  DurationHistogram whole;
};

}  // namespace hone
