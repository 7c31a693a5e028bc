// The `format` values of JSON Schema that an expression holds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hone {

// An expression whose whole matches are texts of that format: all of them for date, time, date-time, uuid,
// ipv4, ipv6, duration and json-pointer; a large part, none of them wrong, for email, hostname, uri (and
// their like). Nothing for a format that is not known.
std::optional<std::string> FormatExpression(std::string_view format);

}  // namespace hone
