// Python's int(text, base) and float(text).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hone::chat {

// Nothing where Python raises ValueError; fails where the integer does not fit 64 bits.
std::optional<int64_t> ParseInteger(std::string_view text, int base);
std::optional<double> ParseFloat(std::string_view text);

}  // namespace hone::chat
