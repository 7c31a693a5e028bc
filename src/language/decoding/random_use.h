// What random numbers are drawn for: the `use` of core/base/random.h in language models. Numbers are never
// reused.
#pragma once

#include <cstdint>

namespace hone {

enum RandomUse : uint32_t {
  kDrawToken = 0,      // which token a sampler takes
  kDrawChoiceSeed = 1  // the seed of one of several answers to one request
};

}  // namespace hone
