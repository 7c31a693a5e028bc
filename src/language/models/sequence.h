// Sequence: one token list with its cache and seed. What a sampler remembers is a function of the tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "language/kvcache/kv_cache.h"
#include "language/models/batch.h"

namespace hone {

struct Sequence {
  KvCache cache;
  std::vector<TokenId> tokens;  // prompt and answer
  int64_t prompt_tokens = 0;    // how many of them are the prompt
  int64_t cached = 0;           // tokens[0, cached) have their entries in the cache
  uint64_t seed = 0;
  bool long_rope = false;  // the entries were rotated with LongRoPE's long factors
  // Which kept tokens its rows attend to; null: all. Entries of later layers depend on it: whoever shares
  // them between sequences counts it into what they were made by.
  std::shared_ptr<KvSelector> selector;
};

// Appends tokens [begin, end) of `sequence` to `batch` as plain causal rows at their positions; logits on the
// last row if `logits_on_last`, on all if `logits_on_all`.
void AppendRows(Sequence& sequence, int64_t begin, int64_t end, bool logits_on_last, bool logits_on_all,
                Batch& batch);

}  // namespace hone
