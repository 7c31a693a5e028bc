// A text cut into chunks whose second halves are scored, as llama.cpp defines it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/function_ref.h"
#include "core/base/result.h"
#include "language/models/runner.h"
#include "language/models/sequence.h"

namespace hone {

struct TextChunks {
  std::vector<TokenId> tokens;  // of the whole text, with BOS in front where the file says so
  int64_t context = 0;          // tokens of a chunk
  int64_t count = 0;            // chunks that are used, from the front

  std::span<const TokenId> Part(int64_t first, int64_t chunks) const {
    return std::span(tokens).subspan(static_cast<size_t>(first * context),
                                     static_cast<size_t>(chunks * context));
  }
};

// At most `limit` chunks of `context` tokens, -1: all. A context beyond the model's and a text under one
// chunk are refused, the latter with the tokens it needs; `name` is how errors call the text.
Result<TextChunks> CutChunks(const Model& model, std::string_view text, std::string_view name,
                             int64_t context, int64_t limit);

// Some chunks, each from an empty cache, side by side in the batches of one runner. Where the file says so
// BOS takes the place of a chunk's first token.
class ChunkGroup {
 public:
  ChunkGroup(Runner& runner, const std::shared_ptr<PagePool>& pool, std::span<const TokenId> tokens,
             int64_t context);

  // Of a scored token: its number among those of this step, its id and the logits in front of it.
  using Visit = FunctionRef<void(int64_t index, TokenId token, std::span<float> logits)>;

  // Reads the tokens [begin, end) of every chunk, in rising order. Tokens from context / 2 + 1 on are scored.
  Result<void> Step(int64_t begin, int64_t end, Visit visit);

  int64_t size() const { return static_cast<int64_t>(sequences_.size()); }

 private:
  Runner& runner_;
  int64_t context_;
  std::vector<Sequence> sequences_;
};

}  // namespace hone
