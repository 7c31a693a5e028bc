// Where pulled models lie, and how a name that a user types becomes a path.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hone {

// $XDG_CACHE_HOME/hone/models, else $HOME/.cache/hone/models.
Result<std::string> ModelCacheFolder();

// Where the model `source` lies once it was pulled: a short name, hf:OWNER/REPO/FILE or an http(s) URL. A
// file is there under this name only when it is complete and verified. Any other `source` is wrong usage.
Result<std::string> PulledPath(std::string_view source);

// The path of a model: `name` itself where it is a file or folder, else the file that was pulled under that
// name. The error tells to pull a known model, or suggests the nearest name.
Result<std::string> ResolveModel(std::string_view name);

}  // namespace hone
