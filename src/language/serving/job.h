// A request as the scheduler sees it: lengths, order and times, no tokens and no model.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace hone {

using JobId = uint64_t;
inline constexpr JobId kNoJob = 0;

struct JobRequest {
  std::string tenant;         // who asked: waiting jobs of different tenants take turns by tokens served
  int priority = 0;           // higher goes first, whoever asked
  int64_t prompt_tokens = 0;  // > 0
  int64_t answer_tokens = 0;  // at most
  // Seconds of the scheduler's clock; what has not ended by then is ended with kLate.
  double deadline = std::numeric_limits<double>::infinity();
  // Worthless late, such as an agent's guess: ended rather than run again when its pages are needed.
  bool speculative = false;
  JobId after = kNoJob;  // starts once that job's prompt is read or it has ended: the two share a prompt
};

enum class JobPhase : uint8_t {
  kWaiting,  // in the queue
  kPrefill,  // admitted; its prompt, or after a preemption all it had, is being read
  kDecode,
};

// Why a job ended before its work did; work that came to its end has kDone.
enum class JobEnd : uint8_t { kDone, kCancelled, kLate, kTooLarge };

struct JobTimes {
  double arrival = 0.0;    // seconds of the scheduler's clock
  double admitted = -1.0;  // -1: not yet
  double first_token = -1.0;
  double last_token = -1.0;
};

struct Job : JobRequest {
  JobId id = kNoJob;
  JobPhase phase = JobPhase::kWaiting;
  int64_t cached = 0;    // tokens whose cache entries are there
  int64_t wanted = 0;    // rows until its next token, as its strategy sees it
  int64_t answered = 0;  // tokens of the answer so far
  int64_t reused = 0;    // of the prompt, found in the prefix cache at the first admission
  int preemptions = 0;
  bool in_step = false;  // a step that holds it is under way
  bool cancelled = false;
  bool preempt = false;       // gives its pages up when its step is over
  bool starved = false;       // found no pages; waits until others give some back
  double longest_gap = 0.0;   // seconds between two of its tokens
  double busy_seconds = 0.0;  // its part of the steps that read its prompt
  JobTimes times;

  int64_t tokens() const { return prompt_tokens + answered; }
};

}  // namespace hone
