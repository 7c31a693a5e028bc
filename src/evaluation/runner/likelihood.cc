#include "evaluation/runner/likelihood.h"

#include <algorithm>
#include <deque>

#include "core/kernels/elementwise.h"
#include "language/decoding/long_rope.h"
#include "language/models/sequence.h"

namespace hone {
namespace {

class Scorer {
 public:
  explicit Scorer(const Reader& reader) : reader_(reader), runner_(reader.runner) {}

  // Scores requests that share their context.
  Result<void> ScoreGroup(std::span<const LikelihoodRequest> group, std::span<Likelihood> results) {
    if (group.size() == 1) return ScoreWhole(group[0], results[0]);
    HONE_TRY(Sequence sequence, Begin(group, group[0].context));
    const int64_t rows = runner_.options().max_rows;
    for (int64_t begin = 0; begin < sequence.prompt_tokens; begin += rows) {
      const int64_t end = std::min(sequence.prompt_tokens, begin + rows);
      Batch batch;
      AppendRows(sequence, begin, end, /*logits_on_last=*/end == sequence.prompt_tokens, false, batch);
      HONE_CHECK_OK(runner_.Run(batch, [&](int64_t, std::span<float> logits) {
        for (size_t i = 0; i < group.size(); ++i) Count(logits, group[i].continuation[0], results[i]);
      }));
    }
    return ScoreRests(sequence, group, results);
  }

 private:
  static void Count(std::span<const float> logits, TokenId next, Likelihood& result) {
    const auto id = static_cast<size_t>(next);
    result.log_probability += logits[id] - LogSumExp(logits);
    // Of equal logits the first is what greedy decoding takes.
    const auto best = static_cast<size_t>(std::ranges::max_element(logits) - logits.begin());
    result.greedy = result.greedy && best == id;
    ++result.tokens;
  }

  Result<Sequence> Begin(std::span<const LikelihoodRequest> group, const std::vector<TokenId>& tokens) const {
    Sequence sequence{.cache = reader_.MakeCache()};
    sequence.tokens = tokens;
    sequence.prompt_tokens = static_cast<int64_t>(group[0].context.size());
    int64_t longest = 0;
    for (const LikelihoodRequest& request : group)
      longest = std::max(longest, static_cast<int64_t>(request.context.size() + request.continuation.size()));
    HONE_CHECK_OK(ChooseRopeFactors(runner_.model().config(), longest, sequence));
    return sequence;
  }

  // Context and continuation in one go.
  Result<void> ScoreWhole(const LikelihoodRequest& request, Likelihood& result) {
    std::vector<TokenId> tokens = request.context;
    tokens.insert(tokens.end(), request.continuation.begin(), request.continuation.end());
    HONE_TRY(Sequence sequence, Begin({&request, 1}, tokens));
    return ScoreRows(sequence, 0, result);
  }

  // Reads tokens [first, size - 1) of the sequence and scores what those from the prompt's last one on
  // predict.
  Result<void> ScoreRows(Sequence& sequence, int64_t first, Likelihood& result) {
    const int64_t last = static_cast<int64_t>(sequence.tokens.size()) - 1;
    for (int64_t begin = first; begin < last; begin += runner_.options().max_rows) {
      const int64_t end = std::min(last, begin + runner_.options().max_rows);
      Batch batch;
      AppendRows(sequence, begin, end, false, false, batch);
      for (int64_t i = begin; i < end; ++i)
        batch.rows[static_cast<size_t>(i - begin)].logits = i + 1 >= sequence.prompt_tokens;
      HONE_CHECK_OK(runner_.Run(batch, [&](int64_t row, std::span<float> logits) {
        Count(logits, sequence.tokens[static_cast<size_t>(begin + row + 1)], result);
      }));
    }
    return {};
  }

  // The tokens after the first of every continuation, on forks of the context's cache that share a batch.
  Result<void> ScoreRests(const Sequence& context, std::span<const LikelihoodRequest> group,
                          std::span<Likelihood> results) {
    std::deque<Sequence> forks;                      // a batch points to them
    std::vector<std::pair<size_t, TokenId>> wanted;  // by row: whose token is scored, and which it is
    Batch batch;
    const auto flush = [&]() -> Result<void> {
      if (batch.rows.empty()) return {};
      HONE_CHECK_OK(runner_.Run(batch, [&](int64_t row, std::span<float> logits) {
        const auto& [i, token] = wanted[static_cast<size_t>(row)];
        Count(logits, token, results[i]);
      }));
      batch = {};
      wanted.clear();
      forks.clear();
      return {};
    };
    for (size_t i = 0; i < group.size(); ++i) {
      const std::vector<TokenId>& continuation = group[i].continuation;
      const auto rows = static_cast<int64_t>(continuation.size()) - 1;
      if (rows == 0) continue;
      if (static_cast<int64_t>(batch.rows.size()) + rows > runner_.options().max_rows) HONE_CHECK_OK(flush());
      HONE_TRY(KvCache forked, context.cache.Fork());
      Sequence& sequence = forks.emplace_back(Sequence{.cache = std::move(forked)});
      sequence.tokens = context.tokens;
      sequence.tokens.insert(sequence.tokens.end(), continuation.begin(), continuation.end());
      sequence.prompt_tokens = context.prompt_tokens;
      sequence.long_rope = context.long_rope;
      if (rows > runner_.options().max_rows) {
        HONE_CHECK_OK(ScoreRows(sequence, context.prompt_tokens, results[i]));
        continue;
      }
      AppendRows(sequence, context.prompt_tokens, context.prompt_tokens + rows, false, /*logits_on_all=*/true,
                 batch);
      for (int64_t j = 1; j <= rows; ++j) wanted.emplace_back(i, continuation[static_cast<size_t>(j)]);
    }
    return flush();
  }

  const Reader& reader_;
  Runner& runner_;
};

}  // namespace

Result<LikelihoodRequest> EncodeRequest(const Tokenizer& tokenizer, std::string_view context,
                                        std::string_view continuation) {
  const size_t end = context.find_last_not_of(" \t\n\r\f\v") + 1;  // npos + 1 is 0
  const std::string whole = std::string(context) + std::string(continuation);
  const SpecialTokens& special = tokenizer.special();
  const TokenId prefix = special.bos != kNoToken ? special.bos : special.eos;
  LikelihoodRequest request;
  std::vector<TokenId> all = tokenizer.EncodeText(whole).tokens;
  size_t cut = end == 0 ? 0 : tokenizer.EncodeText(context.substr(0, end)).tokens.size();
  cut = std::min(cut, all.size());
  if ((special.add_bos && special.bos != kNoToken) || cut == 0) {
    if (prefix == kNoToken)
      return WrongUsage("the tokenizer has neither BOS nor EOS: a text needs something before it");
    request.context.push_back(prefix);
  }
  request.context.insert(request.context.end(), all.begin(), all.begin() + static_cast<int64_t>(cut));
  request.continuation.assign(all.begin() + static_cast<int64_t>(cut), all.end());
  if (request.continuation.empty()) return WrongUsage("a continuation without tokens after \"{}\"", context);
  return request;
}

Result<std::vector<Likelihood>> ScoreLikelihoods(const Reader& reader,
                                                 std::vector<LikelihoodRequest> requests,
                                                 const LikelihoodOptions& options) {
  std::vector<Likelihood> results(requests.size());
  const auto limit = static_cast<size_t>(reader.runner.model().config().context);
  for (size_t i = 0; i < requests.size(); ++i) {
    LikelihoodRequest& request = requests[i];
    results[i].greedy = true;
    results[i].skipped = request.continuation.size() > limit;
    if (results[i].skipped) continue;
    // The last token is never read, so limit + 1 tokens fit.
    const size_t size = request.context.size() + request.continuation.size();
    if (size <= limit + 1) continue;
    request.context.erase(request.context.begin(),
                          request.context.begin() + static_cast<int64_t>(size - limit - 1));
    results[i].shortened = true;
  }
  Scorer scorer(reader);
  for (size_t begin = 0; begin < requests.size();) {
    size_t end = begin + 1;
    if (!results[begin].skipped) {
      while (end < requests.size() && !results[end].skipped &&
             requests[end].context == requests[begin].context)
        ++end;
      HONE_CHECK_OK(scorer.ScoreGroup(std::span(requests).subspan(begin, end - begin),
                                      std::span(results).subspan(begin, end - begin)));
    }
    begin = end;
    if (options.progress)
      options.progress(static_cast<int64_t>(begin), static_cast<int64_t>(requests.size()));
    if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) {
      return tl::unexpected(Error{ErrorKind::kInterrupted,
                                  fmt::format("interrupted after {} of {} texts", begin, requests.size())});
    }
  }
  return results;
}

}  // namespace hone
