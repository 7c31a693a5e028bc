// The kinds of operators that a forward pass is made of, and a clock for them. Off by default: without an
// OperatorTimes a timer is one comparison with null.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace hone {

enum class Operator : uint8_t {
  kEmbedding,
  kNorm,
  kQueryKeyValue,  // the projections before attention
  kRope,
  kKvAppend,
  kAttention,
  kOutput,  // the projection behind attention
  kGateUp,
  kActivation,
  kDown,
  kHead,
  kSampling,  // what the caller does with a row of logits
  kOther,     // residual sums, checks, hooks, reservations
};
inline constexpr size_t kOperators = 13;

// "embedding", "query key value", ...
std::string_view Name(Operator op);
std::span<const Operator> AllOperators();

// Which operator reads the weight of this name, as GGUF calls it: "blk.3.attn_q", "blk.3.attn_q.bias",
// "output_norm.weight". A tied embedding is the head.
Operator OperatorOfWeight(std::string_view name);

// Wall time on the thread that drives a runner.
struct OperatorTimes {
  std::array<double, kOperators> seconds{};
  std::array<int64_t, kOperators> calls{};
  double wall_seconds = 0.0;  // from the beginnings to the ends of the runner's steps
  int64_t steps = 0;

  double of(Operator op) const { return seconds[static_cast<size_t>(op)]; }
  double sum() const;
};

// Adds its own life time to an operator. Timers of one OperatorTimes do not overlap.
class OperatorTimer {
 public:
  OperatorTimer(OperatorTimes* times, Operator op) : times_(times), op_(op) {
    if (times_ != nullptr) begin_ = std::chrono::steady_clock::now();
  }
  OperatorTimer(const OperatorTimer&) = delete;
  OperatorTimer& operator=(const OperatorTimer&) = delete;
  ~OperatorTimer() {
    if (times_ == nullptr) return;
    times_->seconds[static_cast<size_t>(op_)] +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    ++times_->calls[static_cast<size_t>(op_)];
  }

 private:
  OperatorTimes* times_;
  Operator op_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace hone
