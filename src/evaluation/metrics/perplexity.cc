#include "evaluation/metrics/perplexity.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/elementwise.h"
#include "language/decoding/chat_prompt.h"
#include "language/decoding/long_rope.h"
#include "language/models/sequence.h"

namespace hone {
namespace {

struct Sums {
  double nll = 0.0;
  double nll_squared = 0.0;
  int64_t count = 0;
};

// The chunks [first, first + count) of `tokens`, each from an empty cache, side by side in the batches.
class ChunkGroup {
 public:
  ChunkGroup(Runner& runner, const std::shared_ptr<PagePool>& pool, std::span<const TokenId> tokens,
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

  Result<void> Score(Sums& sums) {
    for (Sequence& sequence : sequences_) {
      HONE_CHECK_OK(ChooseRopeFactors(runner_.model().config(), context_, sequence));
    }
    const int64_t rows =
        std::max<int64_t>(1, runner_.options().max_rows / static_cast<int64_t>(sequences_.size()));
    for (int64_t begin = 0; begin < context_; begin += rows) {
      HONE_CHECK_OK(Step(begin, std::min(context_, begin + rows), sums));
    }
    return {};
  }

 private:
  Result<void> Step(int64_t begin, int64_t end, Sums& sums) {
    Batch batch;
    for (Sequence& sequence : sequences_) AppendRows(sequence, begin, end, false, false, batch);
    // A row scores the token that follows it.
    for (Row& row : batch.rows) {
      const int64_t position = row.position[0];
      row.logits = position >= context_ / 2 && position + 1 < context_;
    }
    return runner_.Run(batch, [&](int64_t row, std::span<float> logits) {
      const Sequence& sequence = sequences_[static_cast<size_t>(row / (end - begin))];
      const auto next = static_cast<size_t>(begin + row % (end - begin) + 1);
      const double nll = LogSumExp(logits) - logits[static_cast<size_t>(sequence.tokens[next])];
      sums.nll += nll;
      sums.nll_squared += nll * nll;
      ++sums.count;
    });
  }

  Runner& runner_;
  int64_t context_;
  std::vector<Sequence> sequences_;
};

Perplexity Summary(const Sums& sums) {
  Perplexity result;
  const auto count = static_cast<double>(sums.count);
  const double mean = sums.nll / count;
  const double variance = std::max(0.0, sums.nll_squared / count - mean * mean);
  result.perplexity = std::exp(mean);
  result.standard_error = sums.count > 1 ? result.perplexity * std::sqrt(variance / (count - 1)) : 0.0;
  result.tokens = sums.count;
  return result;
}

}  // namespace

Result<Perplexity> MeasurePerplexity(Runner& runner, const std::shared_ptr<PagePool>& pool,
                                     std::string_view text, std::string_view name,
                                     const PerplexityOptions& options) {
  const int64_t context = options.context;
  const int64_t limit = runner.model().config().context;
  if (context < 4 || context > limit) {
    return WrongUsage("context: found {}, expected 4 to {}, the model's limit", context, limit);
  }
  const std::vector<TokenId> tokens = EncodePrompt(runner.model().tokenizer(), text).tokens;
  const int64_t all = static_cast<int64_t>(tokens.size()) / context;
  if (all == 0) {
    return BadInput(name, "tokens", "found {}, expected at least {} for one chunk", tokens.size(), context);
  }
  const int64_t total = options.chunks < 0 ? all : std::min(options.chunks, all);
  if (total == 0) return WrongUsage("chunks: found 0, expected at least 1");
  const int64_t together = std::max<int64_t>(1, runner.options().max_rows / context);
  Sums sums;
  for (int64_t chunk = 0; chunk < total; chunk += together) {
    if (options.cancel && options.cancel->load(std::memory_order_relaxed)) {
      return tl::unexpected(
          Error{ErrorKind::kInterrupted, fmt::format("interrupted after {} of {} chunks", chunk, total)});
    }
    const int64_t count = std::min(together, total - chunk);
    const auto part =
        std::span(tokens).subspan(static_cast<size_t>(chunk * context), static_cast<size_t>(count * context));
    HONE_CHECK_OK(ChunkGroup(runner, pool, part, context).Score(sums));
    if (options.progress) options.progress(chunk + count, total);
  }
  Perplexity result = Summary(sums);
  result.chunks = total;
  result.text_tokens = static_cast<int64_t>(tokens.size());
  result.bos = runner.model().tokenizer().special().add_bos;
  return result;
}

}  // namespace hone
