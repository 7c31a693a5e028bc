#include "language/models/sequence.h"

namespace hone {

void AppendRows(Sequence& sequence, int64_t begin, int64_t end, bool logits_on_last, bool logits_on_all,
                Batch& batch) {
  SequenceRows rows;
  rows.cache = &sequence.cache;
  rows.first_row = static_cast<int64_t>(batch.rows.size());
  rows.rows = end - begin;
  rows.selector = sequence.selector.get();
  rows.long_rope = sequence.long_rope;
  for (int64_t i = begin; i < end; ++i) {
    Row row;
    row.token = sequence.tokens[static_cast<size_t>(i)];
    row.position.fill(static_cast<int32_t>(i));
    row.tag = i < sequence.prompt_tokens ? RowTag::kPrompt : RowTag::kAnswer;
    row.logits = logits_on_all || (logits_on_last && i + 1 == end);
    batch.rows.push_back(row);
  }
  batch.sequences.push_back(std::move(rows));
}

}  // namespace hone
