// One step's work: rows of any sequences, what each row is, what it sees, and which outputs are wanted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"
#include "language/kvcache/kv_cache.h"
#include "language/kvcache/kv_selector.h"

namespace hone {

enum class RowTag : uint8_t { kPrompt, kAnswer, kImage, kAudio };

struct Row {
  TokenId token = kNoToken;          // looked up in the embedding table, unless
  const float* embedding = nullptr;  // [width] is given: it takes the place of what Embed would have produced
  Position position{};               // all axes equal for text
  int32_t segment = 0;
  RowTag tag = RowTag::kPrompt;
  int16_t adapter = -1;  // index of a LoRA adapter, -1: none
  bool logits = false;   // whether the head runs on this row
};

// What a row sees of the entries of one segment.
enum class SegmentRule : uint8_t {
  kCausal,       // positions <= its own
  kAll,          // every entry: a bidirectional span, an image
  kWindow,       // positions in (own - size, own]
  kBlockCausal,  // positions < (own / size + 1) * size
  kNone,
};

struct SegmentView {
  int32_t segment = 0;
  SegmentRule rule = SegmentRule::kCausal;
  int32_t size = 0;  // of the window or block
};

// The rows of one sequence in a batch: batch.rows[first_row, first_row + rows).
struct SequenceRows {
  KvCache* cache = nullptr;
  int64_t first_row = 0;
  int64_t rows = 0;
  KvSelector* selector = nullptr;  // which of what it may see each row attends to; null: all
  bool long_rope = false;          // which of LongRoPE's two sets of factors rotates them: see Sequence
  // One view a segment; a segment that is not listed is causal. A layer's own sliding window narrows every
  // rule.
  std::vector<SegmentView> views;
  // Which of the new rows each new row sees: bit j of word [i * words_per_row + j / 64] says that row i sees
  // row j. Empty: the views decide, as for cached entries. Given, it replaces them among the new rows (a
  // draft tree, a denoising block).
  std::vector<uint64_t> mask;
  // Added to the attention score of entry e: key_bias[e]; empty: none. Entries are numbered as in the first
  // layer.
  std::vector<float> key_bias;

  int64_t mask_words() const { return (rows + 63) / 64; }
};

struct Batch {
  std::vector<Row> rows;
  std::vector<SequenceRows> sequences;  // in the order of their rows; together they cover all rows
  std::vector<TokenId> logit_ids;       // logits for these ids only; empty: the whole vocabulary
};

}  // namespace hone
