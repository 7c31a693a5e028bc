#include "evaluation/metrics/machine_probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <string>

namespace hone {
namespace {

constexpr uint64_t kProbeBytes = 512ull
                                 << 20;  // beyond the last-level caches of today's servers' single sockets
constexpr size_t kAhead = 2048 / sizeof(uint64_t);
constexpr uint64_t kTaskBytes = 1ull << 20;  // some 0.1 ms a task
constexpr int kPasses = 5;
constexpr int64_t kSpins = 400'000;           // some 0.4 ms a task
constexpr uint64_t kCachedBytes = 128 << 10;  // of one thread: beyond the first cache, within the second
constexpr int kCachedReads = 32;              // of the buffer by one task, some 50 microseconds
constexpr int64_t kCachedTasks = 64;          // of one thread
constexpr int64_t kPeakTasks = 100;           // for each thread, some 0.1 ms a task
constexpr int64_t kSpinTasks = 40;            // for each thread

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// `ahead`: how far ahead words are asked for, without which one core stops at two thirds of what it can read.
template <size_t ahead>
uint64_t SumWords(std::span<const uint64_t> words) {
  constexpr size_t kLanes = 16;
  uint64_t sums[kLanes] = {};
  for (size_t i = 0; i + kLanes <= words.size(); i += kLanes) {
    if constexpr (ahead > 0) {
      __builtin_prefetch(words.data() + i + ahead);
      __builtin_prefetch(words.data() + i + ahead + kLanes / 2);
    }
    for (size_t j = 0; j < kLanes; ++j) sums[j] += words[i + j];
  }
  uint64_t sum = 0;
  for (const uint64_t lane : sums) sum += lane;
  return sum;
}

// A chain of dependent multiplications: its time is the processor's, not the memory's.
uint64_t Spin(uint64_t value) {
  for (int64_t i = 0; i < kSpins; ++i) value = value * 6364136223846793005ull + 1442695040888963407ull;
  return value;
}

Result<double> MeasureCacheBandwidth(ComputeShare& share, MemoryAccount& account) {
  HONE_TRY(const Buffer buffer, Buffer::Allocate(account, kCachedBytes));
  const std::span<const uint64_t> words = buffer.as<uint64_t>();
  const int64_t tasks = kCachedTasks * share.threads();
  std::atomic<uint64_t> sum{0};
  double best = 0.0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const double start = Seconds();
    share.ParallelFor(tasks, [&](int64_t) {
      for (int i = 0; i < kCachedReads; ++i) sum.fetch_add(SumWords<0>(words), std::memory_order_relaxed);
    });
    best = std::max(best, static_cast<double>(kCachedBytes * kCachedReads) * static_cast<double>(tasks) /
                              (Seconds() - start));
  }
  return best;
}

}  // namespace

Result<double> MeasureReadBandwidth(ComputeShare& share, MemoryAccount& account) {
  HONE_TRY(const Buffer buffer, Buffer::Allocate(account, kProbeBytes));
  const std::span<uint64_t> words = buffer.as<uint64_t>();
  constexpr auto kTasks = static_cast<int64_t>(kProbeBytes / kTaskBytes);
  constexpr size_t kTaskWords = kTaskBytes / sizeof(uint64_t);
  const auto part = [&](int64_t task) {
    return words.subspan(static_cast<size_t>(task) * kTaskWords, kTaskWords);
  };
  share.ParallelFor(kTasks, [&](int64_t task) { std::fill(part(task).begin(), part(task).end(), 1); });
  double best = 0.0;
  for (int pass = 0; pass < kPasses; ++pass) {
    std::atomic<uint64_t> sum{0};
    const double start = Seconds();
    share.ParallelFor(kTasks, [&](int64_t task) {
      sum.fetch_add(SumWords<kAhead>(part(task)), std::memory_order_relaxed);
    });
    const double seconds = Seconds() - start;
    if (sum.load() != words.size())
      return Failed("read bandwidth: the probe read {}, expected {}", sum.load(), words.size());
    best = std::max(best, static_cast<double>(kProbeBytes) / seconds);
  }
  return best;
}

double MeasurePeak(ComputeShare& share, PeakLoop loop) {
  double best = 0.0;
  for (int pass = 0; pass < kPasses; ++pass) {
    std::atomic<int64_t> operations{0};
    const double start = Seconds();
    share.ParallelFor(kPeakTasks * share.threads(),
                      [&](int64_t) { operations.fetch_add(RunPeakLoop(loop), std::memory_order_relaxed); });
    best = std::max(best, static_cast<double>(operations.load()) / (Seconds() - start));
  }
  return best;
}

double MeasureFreeCores(ComputeShare& share) {
  std::atomic<uint64_t> sink{0};
  const auto spin = [&](int64_t task) {
    sink.fetch_add(Spin(static_cast<uint64_t>(task)), std::memory_order_relaxed);
  };
  // The fastest single task is what one undisturbed core takes.
  double one = 1e9;
  for (int i = 0; i < kPasses; ++i) {
    const double start = Seconds();
    spin(i);
    one = std::min(one, Seconds() - start);
  }
  const int64_t tasks = kSpinTasks * share.threads();
  const double start = Seconds();
  share.ParallelFor(tasks, spin);
  return one * static_cast<double>(tasks) / (Seconds() - start);
}

Result<MachineLimits> MeasureLimits(ComputeShare& share, MemoryAccount& account) {
  MachineLimits limits;
  limits.free_cores = MeasureFreeCores(share);
  HONE_TRY(limits.memory_bandwidth, MeasureReadBandwidth(share, account));
  HONE_TRY(limits.cache_bandwidth, MeasureCacheBandwidth(share, account));
  limits.float_operations = MeasurePeak(share, PeakLoop::kFma);
  limits.byte_operations = MeasurePeak(share, PeakLoop::kByteDots);
  return limits;
}

uint64_t PeakResidentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace hone
