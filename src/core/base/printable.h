// Names and keys out of a file, made fit for a one-line message.
#pragma once

#include <string>
#include <string_view>

namespace hone {

// Bytes outside printable ASCII become \xNN; what passes `limit` characters is cut and ends in "...".
std::string Printable(std::string_view text, size_t limit = 80);

}  // namespace hone
