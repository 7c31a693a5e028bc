// How well a model predicts a text.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "core/base/result.h"
#include "language/models/runner.h"

namespace hone {

struct PerplexityOptions {
  int64_t context = 512;  // tokens of a chunk, >= 4
  int64_t chunks = -1;    // at most so many, from the front; -1: all
  std::function<void(int64_t chunks, int64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

struct Perplexity {
  double perplexity = 0.0;      // exp(mean negative log-likelihood)
  double standard_error = 0.0;  // perplexity * sqrt((mean(nll^2) - mean(nll)^2) / (tokens - 1))
  int64_t chunks = 0;
  int64_t tokens = 0;       // that were scored
  int64_t text_tokens = 0;  // of the whole text
  bool bos = false;         // whether each chunk began with one
};

// A mean and its standard error.
struct Estimate {
  double mean = 0.0;
  double standard_error = 0.0;
};

// llama.cpp's definition: the text's tokens (with BOS in front where the file says so) are cut into chunks of
// `context`, each read from an empty cache; where the file says so BOS takes the place of a chunk's first
// token. Of a chunk the tokens context / 2 + 1 and later are scored, each with at least context / 2 tokens
// before it. Spellings of control tokens are text. A text under one chunk is refused with the tokens it
// needs; `name` is how errors call the text.
Result<Perplexity> MeasurePerplexity(Runner& runner, const std::shared_ptr<PagePool>& pool,
                                     std::string_view text, std::string_view name,
                                     const PerplexityOptions& options = {});

struct ModelRun {
  Runner& runner;
  std::shared_ptr<PagePool> pool;
};

// What a second model, or the same one run in another way, predicts differently. Everything is paired: the
// same tokens behind the same tokens, so that a loss far below the error of either perplexity is seen.
struct Divergence {
  Perplexity reference, other;
  Estimate log_loss;  // mean of -log q(token) + log p(token), p the reference: log of the perplexities' ratio
  Estimate kullback_leibler;         // mean of sum p (log p - log q), in nats
  double kullback_leibler_99 = 0.0;  // its 99th percentile over tokens
  double same_top = 0.0;             // share of tokens at which both find the same most likely one
};

// Over the same chunks as MeasurePerplexity. Refused: models that cut the text into different tokens. Keeps
// at most 64 MiB of the reference's logits.
Result<Divergence> MeasureDivergence(const ModelRun& reference, const ModelRun& other, std::string_view text,
                                     std::string_view name, const PerplexityOptions& options = {});

}  // namespace hone
