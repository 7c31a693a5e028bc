// Ctrl-C as a flag, for commands that have something to finish.
#pragma once

#include <atomic>

namespace hone {

// From here on SIGINT sets the flag, which is returned, instead of ending the program; reads of a terminal
// are interrupted.
std::atomic<bool>& CatchInterrupts();

}  // namespace hone
