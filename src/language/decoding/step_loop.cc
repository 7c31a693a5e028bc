#include "language/decoding/step_loop.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace hone {
namespace {

bool SameTarget(const Proposal& a, const Proposal& b) {
  return a.target == b.target && a.batch.logit_ids == b.batch.logit_ids;
}

Result<void> Reserve(const Proposal& proposal) {
  for (const SequenceRows& rows : proposal.batch.sequences) {
    const int layers = rows.cache->layers();
    const int last = proposal.target.last_layer < 0 ? layers : std::min(proposal.target.last_layer, layers);
    if (proposal.target.first_layer >= last) continue;  // the runner says what is wrong
    HONE_CHECK_OK(rows.cache->Reserve(rows.rows, proposal.target.first_layer, last));
  }
  return {};
}

void Join(const Batch& part, Batch& whole) {
  const auto offset = static_cast<int64_t>(whole.rows.size());
  whole.rows.insert(whole.rows.end(), part.rows.begin(), part.rows.end());
  for (SequenceRows rows : part.sequences) {
    rows.first_row += offset;
    whole.sequences.push_back(std::move(rows));
  }
}

}  // namespace

std::vector<StepLoop::Part> StepLoop::Propose() {
  std::vector<Part> parts;
  int64_t room = options_.rows;
  // One pass for answers that decode, one for those that read their prompt.
  Answers waiting;
  Answers served;
  for (const bool decodes : {true, false}) {
    for (auto& generation : live_) {
      const bool first_token_is_out = !generation->tokens().empty();
      if (first_token_is_out != decodes) continue;
      const int64_t most = std::min(room, options_.chunk);
      if (most <= 0) {
        waiting.push_back(generation);
        continue;
      }
      Part part{generation.get(), {}};
      generation->StartClock();
      if (auto proposed = generation->strategy().Propose(most, part.proposal); !proposed) {
        generation->Fail(std::move(proposed).error());
        continue;
      }
      const auto rows = static_cast<int64_t>(part.proposal.batch.rows.size());
      if (rows == 0) {
        waiting.push_back(generation);
        continue;
      }
      room -= rows;
      served.push_back(generation);
      parts.push_back(std::move(part));
    }
  }
  waiting.insert(waiting.end(), served.begin(), served.end());
  live_ = std::move(waiting);
  return parts;
}

void StepLoop::ReservePages(std::vector<Part>& parts) {
  std::vector<Part> kept;
  std::optional<Error> refusal;
  for (Part& part : parts) {
    if (auto reserved = Reserve(part.proposal); !reserved) {
      refusal = std::move(reserved).error();
      // Before those that are served: it is the first to ask again.
      const auto at = std::find_if(live_.begin(), live_.end(),
                                   [&](const auto& answer) { return answer.get() == part.generation; });
      std::rotate(live_.begin(), at, at + 1);
    } else {
      kept.push_back(std::move(part));
    }
  }
  if (kept.empty() && refusal) FreePages(std::move(*refusal));
  parts = std::move(kept);
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

void StepLoop::RunGroup(std::span<Part*> parts) {
  const StepTarget& target = parts.front()->proposal.target;
  Batch batch;
  batch.logit_ids = parts.front()->proposal.batch.logit_ids;
  std::vector<int64_t> first_rows;
  for (const Part* part : parts) {
    first_rows.push_back(static_cast<int64_t>(batch.rows.size()));
    Join(part->proposal.batch, batch);
  }
  std::vector<Result<void>> received(parts.size());
  auto sink = [&](int64_t row, std::span<float> logits) {
    const auto next = std::upper_bound(first_rows.begin(), first_rows.end(), row);
    const auto i = static_cast<size_t>(next - first_rows.begin()) - 1;
    if (received[i]) received[i] = parts[i]->generation->strategy().Receive(row - first_rows[i], logits);
  };
  RunOptions options;
  options.first_layer = target.first_layer;
  options.last_layer = target.last_layer;
  options.head = target.head;
  if (auto ran = target.runner->Run(batch, sink, options); !ran) {
    if (parts.size() == 1) return parts.front()->generation->Fail(std::move(ran).error());
    for (Part*& part : parts) RunGroup({&part, 1});
    return;
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    Generation& generation = *parts[i]->generation;
    if (received[i])
      generation.Take(static_cast<int64_t>(parts[i]->proposal.batch.rows.size()));
    else
      generation.Fail(std::move(received[i]).error());
  }
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
  std::vector<Part> parts = Propose();
  if (parts.empty()) {
    // Nobody is content with a whole step's rows: waiting would never end.
    for (auto& generation : live_) {
      generation->Fail(Failed("step: {} rows are too few for this decoding strategy", options_.rows).value());
    }
  }
  ReservePages(parts);
  std::vector<Part*> left;
  for (Part& part : parts) left.push_back(&part);
  while (!left.empty()) {
    const Proposal& first = left.front()->proposal;
    const auto end = std::stable_partition(
        left.begin(), left.end(), [&](const Part* part) { return SameTarget(part->proposal, first); });
    RunGroup({left.begin(), end});
    left.erase(left.begin(), end);
  }
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
