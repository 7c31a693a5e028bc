// Text files that a user names on the command line.
#pragma once

#include <string>

#include "core/base/result.h"

namespace hone {

// All bytes of the file; "-" is standard input, the name of a known text (hone pull lists it) the text that was
// pulled.
Result<std::string> ReadText(const std::string& path);

}  // namespace hone
