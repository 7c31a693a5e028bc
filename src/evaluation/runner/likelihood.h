// How likely a model finds texts after texts: what every evaluation task is made of.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "language/models/runner.h"

namespace hone {

struct LikelihoodRequest {
  std::vector<TokenId> context;       // at least one token
  std::vector<TokenId> continuation;  // at least one token
};

struct Likelihood {
  double log_probability = 0.0;  // of the whole continuation, natural logarithm
  bool greedy = false;           // whether each of its tokens is the likeliest after those before it
  int64_t tokens = 0;            // of the continuation
  bool shortened = false;        // the context lost its left end, to fit
  bool skipped = false;          // the continuation alone is too long: nothing was scored
};

// Context and continuation as tokens, as lm-evaluation-harness makes them: spaces at the end of the context
// move to the continuation; both are encoded as one text, which is cut where the context alone would end. BOS
// stands in front where the tokenizer says so; an empty context is BOS, or EOS where there is none.
Result<LikelihoodRequest> EncodeRequest(const Tokenizer& tokenizer, std::string_view context,
                                        std::string_view continuation);

// What reads texts: a runner and where its caches come from.
struct Reader {
  Runner& runner;
  std::shared_ptr<PagePool> pool;
  std::function<KvCache()> make_cache;  // absent: the model's own for the runner's mode

  KvCache MakeCache() const {
    return make_cache ? make_cache() : runner.model().MakeCache(pool, runner.options().mode);
  }
};

struct LikelihoodOptions {
  std::function<void(int64_t done, int64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

// One result a request, in order. Neighbouring requests with the same context read it once. What does not fit
// into the model's context loses the left end of its context.
Result<std::vector<Likelihood>> ScoreLikelihoods(const Reader& reader,
                                                 std::vector<LikelihoodRequest> requests,
                                                 const LikelihoodOptions& options = {});

}  // namespace hone
