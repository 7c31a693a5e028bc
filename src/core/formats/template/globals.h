// The functions that every template sees: range, dict, namespace, cycler, joiner, raise_exception,
// strftime_now.
#pragma once

#include <string_view>

#include "core/formats/template/value.h"

namespace hone::chat {

// Missing where there is no such function.
Value FindGlobal(std::string_view name);

}  // namespace hone::chat
