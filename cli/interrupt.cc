#include "cli/interrupt.h"

#include <unistd.h>

#include <csignal>

namespace hone {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

}  // namespace

std::atomic<bool>& CatchInterrupts() {
  struct sigaction action = {};
  // Twice without anybody looking in between: whatever runs does not heed it, so the program ends.
  action.sa_handler = [](int) {
    if (interrupted.exchange(true)) _exit(130);
  };
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // not SA_RESTART: a waiting read returns
  sigaction(SIGINT, &action, nullptr);
  return interrupted;
}

}  // namespace hone
