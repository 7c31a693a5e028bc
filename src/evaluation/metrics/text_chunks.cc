#include "evaluation/metrics/text_chunks.h"

#include <algorithm>

#include "language/decoding/chat_prompt.h"
#include "language/decoding/long_rope.h"

namespace hone {

Result<TextChunks> CutChunks(const Model& model, std::string_view text, std::string_view name,
                             int64_t context, int64_t limit) {
  const int64_t most = model.config().context;
  if (context < 4 || context > most) {
    return WrongUsage("context: found {}, expected 4 to {}, the model's limit", context, most);
  }
  TextChunks chunks{EncodePrompt(model.tokenizer(), text).tokens, context, 0};
  const int64_t all = static_cast<int64_t>(chunks.tokens.size()) / context;
  if (all == 0) {
    return BadInput(name, "tokens", "found {}, expected at least {} for one chunk", chunks.tokens.size(),
                    context);
  }
  chunks.count = limit < 0 ? all : std::min(limit, all);
  if (chunks.count == 0) return WrongUsage("chunks: found 0, expected at least 1");
  return chunks;
}

ChunkGroup::ChunkGroup(Runner& runner, const std::shared_ptr<PagePool>& pool, std::span<const TokenId> tokens,
                       int64_t context)
    : runner_(runner), context_(context) {
  const SpecialTokens& special = runner.model().tokenizer().special();
  for (size_t begin = 0; begin < tokens.size(); begin += static_cast<size_t>(context)) {
    const auto chunk = tokens.subspan(begin, static_cast<size_t>(context));
    Sequence sequence{.cache = runner.model().MakeCache(pool, runner.options().mode)};
    sequence.tokens.assign(chunk.begin(), chunk.end());
    sequence.prompt_tokens = context;
    if (special.add_bos && special.bos != kNoToken) sequence.tokens.front() = special.bos;
    sequences_.push_back(std::move(sequence));
  }
}

Result<void> ChunkGroup::Step(int64_t begin, int64_t end, Visit visit) {
  Batch batch;
  for (Sequence& sequence : sequences_) {
    if (begin == 0) HONE_CHECK_OK(ChooseRopeFactors(runner_.model().config(), context_, sequence));
    AppendRows(sequence, begin, end, false, false, batch);
  }
  std::vector<int64_t> index(batch.rows.size());
  int64_t scored = 0;
  for (size_t i = 0; i < batch.rows.size(); ++i) {  // a row scores the token that follows it
    const int64_t position = batch.rows[i].position[0];
    batch.rows[i].logits = position >= context_ / 2 && position + 1 < context_;
    index[i] = scored;
    if (batch.rows[i].logits) ++scored;
  }
  return runner_.Run(batch, [&](int64_t row, std::span<float> logits) {
    const Sequence& sequence = sequences_[static_cast<size_t>(row / (end - begin))];
    const auto next = static_cast<size_t>(begin + row % (end - begin) + 1);
    visit(index[static_cast<size_t>(row)], sequence.tokens[next], logits);
  });
}

}  // namespace hone
