// The prefix cache across restarts: one file with what is worth keeping.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/result.h"
#include "language/serving/prefix_cache.h"

namespace hone {

struct PrefixFileCounts {
  int64_t prefixes = 0;
  int64_t tokens = 0;  // of all of them; shared beginnings count each time
};

// Writes the prefixes that are no other's beginning, those that were used last first, until the file has
// `most_bytes`. It appears under its name only when it is whole. `made_for`: what entries depend on besides
// their tokens (the model's weights, the numeric mode, the plan, the processor).
Result<PrefixFileCounts> SavePrefixes(const PrefixCache& prefixes, const std::string& path,
                                      const std::string& made_for, uint64_t most_bytes);

// Puts what the file holds into `prefixes`, as far as there are pages: those used last first. A file that
// is damaged, or was made for something else, is an error that says which, with nothing put in; none at all
// is zero prefixes. `make_cache` gives an empty cache of the model's shape.
Result<PrefixFileCounts> LoadPrefixes(PrefixCache& prefixes, const std::string& path,
                                      const std::string& made_for,
                                      const std::function<KvCache()>& make_cache);

}  // namespace hone
