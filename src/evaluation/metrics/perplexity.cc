#include "evaluation/metrics/perplexity.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/elementwise.h"
#include "evaluation/metrics/text_chunks.h"

namespace hone {
namespace {

// Of the logarithms whose mean is wanted.
struct Sums {
  double sum = 0.0;
  double squares = 0.0;
  int64_t count = 0;

  void Add(double value) {
    sum += value;
    squares += value * value;
    ++count;
  }
  Estimate mean() const {
    const auto n = static_cast<double>(count);
    const double mean = sum / n;
    const double variance = std::max(0.0, squares / n - mean * mean);
    return {mean, count > 1 ? std::sqrt(variance / (n - 1)) : 0.0};
  }
};

Perplexity Summary(const Sums& sums) {
  const auto [mean, error] = sums.mean();
  Perplexity result;
  result.perplexity = std::exp(mean);
  result.standard_error = result.perplexity * error;
  result.tokens = sums.count;
  return result;
}

Result<void> Continue(const PerplexityOptions& options, int64_t chunk, int64_t total) {
  if (!options.cancel || !options.cancel->load(std::memory_order_relaxed)) return {};
  return tl::unexpected(
      Error{ErrorKind::kInterrupted, fmt::format("interrupted after {} of {} chunks", chunk, total)});
}

// log softmax(logits) in place.
void ToLogProbabilities(std::span<float> logits) {
  const auto sum = static_cast<float>(LogSumExp(logits));
  for (float& logit : logits) logit -= sum;
}

// sum_i p_i (log p_i - log q_i)
double KullbackLeibler(std::span<const float> p, std::span<const float> q) {
  double sum = 0.0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] > -80.0f) sum += std::exp(p[i]) * (p[i] - q[i]);
  }
  return std::max(0.0, sum);
}

ptrdiff_t Top(std::span<const float> values) {
  return std::max_element(values.begin(), values.end()) - values.begin();
}

}  // namespace

Result<Perplexity> MeasurePerplexity(Runner& runner, const std::shared_ptr<PagePool>& pool,
                                     std::string_view text, std::string_view name,
                                     const PerplexityOptions& options) {
  HONE_TRY(const TextChunks chunks, CutChunks(runner.model(), text, name, options.context, options.chunks));
  const int64_t together = std::max<int64_t>(1, runner.options().max_rows / options.context);
  Sums sums;
  for (int64_t chunk = 0; chunk < chunks.count; chunk += together) {
    HONE_CHECK_OK(Continue(options, chunk, chunks.count));
    const int64_t count = std::min(together, chunks.count - chunk);
    ChunkGroup group(runner, pool, chunks.Part(chunk, count), options.context);
    const int64_t rows = std::max<int64_t>(1, runner.options().max_rows / count);
    for (int64_t begin = 0; begin < options.context; begin += rows) {
      HONE_CHECK_OK(group.Step(begin, std::min(options.context, begin + rows),
                               [&](int64_t, TokenId token, std::span<float> logits) {
                                 sums.Add(LogSumExp(logits) - logits[static_cast<size_t>(token)]);
                               }));
    }
    if (options.progress) options.progress(chunk + count, chunks.count);
  }
  Perplexity result = Summary(sums);
  result.chunks = chunks.count;
  result.text_tokens = static_cast<int64_t>(chunks.tokens.size());
  result.bos = runner.model().tokenizer().special().add_bos;
  return result;
}

Result<Divergence> MeasureDivergence(const ModelRun& reference, const ModelRun& other, std::string_view text,
                                     std::string_view name, const PerplexityOptions& options) {
  const Model& model = reference.runner.model();
  HONE_TRY(const TextChunks chunks, CutChunks(model, text, name, options.context, options.chunks));
  HONE_TRY(const TextChunks same,
           CutChunks(other.runner.model(), text, name, options.context, options.chunks));
  if (same.tokens != chunks.tokens || model.config().vocabulary != other.runner.model().config().vocabulary) {
    return WrongUsage(
        "divergence: the two models cut the text into different tokens, expected one vocabulary");
  }
  const auto vocabulary = static_cast<size_t>(model.config().vocabulary);
  constexpr size_t kMostFloats = 16 << 20;  // logits of the reference that are kept
  const int64_t rows = std::min({reference.runner.options().max_rows, other.runner.options().max_rows,
                                 std::max<int64_t>(1, static_cast<int64_t>(kMostFloats / vocabulary))});
  std::vector<float> kept(static_cast<size_t>(rows) * vocabulary);
  const auto reference_of = [&](int64_t index) {
    return std::span(kept).subspan(static_cast<size_t>(index) * vocabulary, vocabulary);
  };
  Sums reference_nll, other_nll, difference, divergence;
  std::vector<double> divergences;
  int64_t same_top = 0;
  for (int64_t chunk = 0; chunk < chunks.count; ++chunk) {
    HONE_CHECK_OK(Continue(options, chunk, chunks.count));
    ChunkGroup first(reference.runner, reference.pool, chunks.Part(chunk, 1), options.context);
    ChunkGroup second(other.runner, other.pool, chunks.Part(chunk, 1), options.context);
    for (int64_t begin = 0; begin < options.context; begin += rows) {
      const int64_t end = std::min(options.context, begin + rows);
      HONE_CHECK_OK(first.Step(begin, end, [&](int64_t index, TokenId, std::span<float> logits) {
        ToLogProbabilities(logits);
        std::copy(logits.begin(), logits.end(), reference_of(index).begin());
      }));
      HONE_CHECK_OK(second.Step(begin, end, [&](int64_t index, TokenId token, std::span<float> logits) {
        ToLogProbabilities(logits);
        const std::span<const float> p = reference_of(index);
        const double expected = -p[static_cast<size_t>(token)], found = -logits[static_cast<size_t>(token)];
        reference_nll.Add(expected);
        other_nll.Add(found);
        difference.Add(found - expected);
        divergences.push_back(KullbackLeibler(p, logits));
        divergence.Add(divergences.back());
        if (Top(p) == Top(logits)) ++same_top;
      }));
    }
    if (options.progress) options.progress(chunk + 1, chunks.count);
  }
  Divergence result;
  result.reference = Summary(reference_nll);
  result.other = Summary(other_nll);
  for (Perplexity* perplexity : {&result.reference, &result.other}) {
    perplexity->chunks = chunks.count;
    perplexity->text_tokens = static_cast<int64_t>(chunks.tokens.size());
    perplexity->bos = model.tokenizer().special().add_bos;
  }
  result.log_loss = difference.mean();
  result.kullback_leibler = divergence.mean();
  result.same_top = static_cast<double>(same_top) / static_cast<double>(difference.count);
  const auto high = divergences.begin() + static_cast<ptrdiff_t>(divergences.size() * 99 / 100);
  std::nth_element(divergences.begin(), high, divergences.end());
  result.kullback_leibler_99 = *high;
  return result;
}

}  // namespace hone
