// Opens the model that a command was given.
#pragma once

#include "cli/model_options.h"
#include "language/decoding/session.h"

namespace hone {

struct OpenedSession {
  Session session;
  double load_seconds = 0.0;  // from the file's name to a runner that is ready
};

// Shows a progress bar on standard error when loading takes long.
Result<OpenedSession> OpenSession(const ModelOptions& model, int64_t context, int64_t chunk);

}  // namespace hone
