// Text files as training reads them.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace hone {

// The documents of a file: a .jsonl file has one a line, its string members joined by line breaks in the
// order of the file; anything else is one document. Refused: an empty file, text that is not UTF-8, a line
// that is no JSON object with a string (by its number).
Result<std::vector<std::string>> ReadDocuments(const std::string& path);

}  // namespace hone
