// Pictures, drawn by gnuplot.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hone {

// Writes `text` to the file `script` and runs gnuplot on it. Fails with gnuplot's complaint, or where it is
// not installed.
Result<void> RunGnuplot(const std::string& script, std::string_view text);

}  // namespace hone
