#include "language/decoding/step_batch.h"

#include <algorithm>

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

int64_t StepBatch::Add(Generation& generation, int64_t max_rows) {
  Part part{&generation, {}};
  generation.StartClock();
  if (auto proposed = generation.strategy().Propose(max_rows, part.proposal); !proposed) {
    generation.Fail(std::move(proposed).error());
    return 0;
  }
  const auto rows = static_cast<int64_t>(part.proposal.batch.rows.size());
  if (rows == 0) return 0;
  Runner*& runner = part.proposal.target.runner;
  if (stand_in_ != nullptr && runner != nullptr && &runner->model() == &stand_in_->model()) {
    runner = stand_in_;
  }
  parts_.push_back(std::move(part));
  return rows;
}

void StepBatch::ReservePages(FunctionRef<bool(Generation&, const Error&)> refused) {
  std::vector<Part> kept;
  for (Part& part : parts_) {
    auto reserved = Reserve(part.proposal);
    while (!reserved && refused(*part.generation, reserved.error())) reserved = Reserve(part.proposal);
    if (reserved) kept.push_back(std::move(part));
  }
  parts_ = std::move(kept);
}

void StepBatch::Run() {
  std::vector<Part*> left;
  for (Part& part : parts_) left.push_back(&part);
  while (!left.empty()) {
    const Proposal& first = left.front()->proposal;
    const auto end = std::stable_partition(
        left.begin(), left.end(), [&](const Part* part) { return SameTarget(part->proposal, first); });
    RunGroup({left.begin(), end});
    left.erase(left.begin(), end);
  }
}

void StepBatch::RunGroup(std::span<Part*> parts) {
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
  if (target.observer != nullptr) options.observers = {&target.observer, 1};
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

}  // namespace hone
