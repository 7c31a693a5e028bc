// LongRoPE (Ding et al., arXiv 2402.13753): a model has one set of frequency factors for texts up to its
// original context and one for longer texts. The two must never mix in one cache.
#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "language/models/model_config.h"
#include "language/models/sequence.h"

namespace hone {

// Called before rows of a sequence of `length` tokens are run. Where the length asks for the other set than
// the cache was filled with, the cache is emptied and `cached` is 0: the whole text is read again with the
// right set. Nothing happens in models without LongRoPE.
Result<void> ChooseRopeFactors(const ModelConfig& config, int64_t length, Sequence& sequence);

}  // namespace hone
