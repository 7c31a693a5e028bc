// Runs another program and waits for it.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace hone {

struct ProgramEnd {
  int exit_code = 0;      // 128 + signal where a signal ended it
  std::string complaint;  // the last line of its standard error that begins with "ERROR", else its last line
};

// `arguments[0]` is looked up in PATH; no shell is involved. Its standard output goes to our standard error.
// An error if the program cannot be started.
Result<ProgramEnd> RunProgram(const std::vector<std::string>& arguments);

}  // namespace hone
