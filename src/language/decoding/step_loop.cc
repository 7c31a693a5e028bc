#include "language/decoding/step_loop.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace hone {

StepBatch StepLoop::Propose() {
  StepBatch batch;
  int64_t room = options_.rows;
  // One pass for answers that decode, one for those that read their prompt.
  Answers waiting;
  Answers served;
  for (const bool decodes : {true, false}) {
    for (auto& generation : live_) {
      const bool first_token_is_out = !generation->tokens().empty();
      if (first_token_is_out != decodes) continue;
      const int64_t most = std::min(room, options_.chunk);
      const int64_t rows = most > 0 ? batch.Add(*generation, most) : 0;
      if (generation->finished()) continue;
      room -= rows;
      (rows == 0 ? waiting : served).push_back(generation);
    }
  }
  waiting.insert(waiting.end(), served.begin(), served.end());
  live_ = std::move(waiting);
  return batch;
}

void StepLoop::ReservePages(StepBatch& batch) {
  std::optional<Error> refusal;
  batch.ReservePages([&](Generation& refused, const Error& error) {
    refusal = error;
    // Before those that are served: it is the first to ask again.
    const auto at = std::find_if(live_.begin(), live_.end(),
                                 [&](const auto& answer) { return answer.get() == &refused; });
    std::rotate(live_.begin(), at, at + 1);
    return false;
  });
  if (batch.empty() && refusal) FreePages(std::move(*refusal));
}

void StepLoop::FreePages(Error error) {
  const auto cached = [](const std::shared_ptr<Generation>& answer) {
    return answer->strategy().sequence().cached;
  };
  const auto least = std::min_element(live_.begin(), live_.end(),
                                      [&](const auto& a, const auto& b) { return cached(a) < cached(b); });
  if (live_.size() == 1) return (*least)->Fail(std::move(error));
  Sequence& sequence = (*least)->strategy().sequence();
  if (auto emptied = sequence.cache.TruncateToPosition(0); !emptied) {
    return (*least)->Fail(std::move(emptied).error());
  }
  sequence.cached = 0;
  paused_.push_back(std::move(*least));
  live_.erase(least);
}

void StepLoop::EndCancelled() {
  for (const Answers* answers : {&live_, &paused_}) {
    for (const auto& answer : *answers) {
      if (answer->cancelled()) answer->Finish(FinishReason::kCancelled);
    }
  }
}

void StepLoop::Step() {
  EndCancelled();
  DropFinished();
  StepBatch batch = Propose();
  if (batch.empty()) {
    // Nobody is content with a whole step's rows: waiting would never end.
    for (auto& generation : live_) {
      if (generation->finished()) continue;
      generation->Fail(Failed("step: {} rows are too few for this decoding strategy", options_.rows).value());
    }
  }
  ReservePages(batch);
  batch.Run();
  DropFinished();
}

void StepLoop::DropFinished() {
  const auto finished = [](const std::shared_ptr<Generation>& answer) { return answer->finished(); };
  std::erase_if(paused_, finished);
  if (std::erase_if(live_, finished) == 0 && !live_.empty()) return;
  live_.insert(live_.end(), std::make_move_iterator(paused_.begin()), std::make_move_iterator(paused_.end()));
  paused_.clear();
}

}  // namespace hone
