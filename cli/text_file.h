// Whole files and standard input.
#pragma once

#include <string>

#include "core/base/result.h"

namespace hone {

Result<std::string> ReadTextFile(const std::string& path);  // "-": standard input
Result<void> WriteTextFile(const std::string& path, const std::string& text);

}  // namespace hone
