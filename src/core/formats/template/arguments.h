// The arguments of a filter, test, method or function, bound to its parameters as Python binds them.
#pragma once

#include <array>
#include <string_view>

#include "core/formats/template/failure.h"
#include "core/formats/template/value.h"

namespace hone::chat {

// One value for each parameter; missing where none was given and the parameter is not among the first
// `required`.
template <size_t N>
std::array<Value, N> Bind(std::string_view function, const Arguments& arguments,
                          const std::array<std::string_view, N>& parameters, size_t required = 0) {
  std::array<Value, N> bound;
  if (arguments.positional.size() > N) {
    Fail("{}() takes at most {} arguments, {} were given", function, N, arguments.positional.size());
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) bound[i] = arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    size_t i = 0;
    while (i < N && parameters[i] != name) ++i;
    if (i == N) Fail("{}() got an unexpected keyword argument '{}'", function, name);
    if (!bound[i].Is(Kind::kMissing)) Fail("{}() got multiple values for argument '{}'", function, name);
    bound[i] = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (bound[i].Is(Kind::kMissing)) Fail("{}() missing the argument '{}'", function, parameters[i]);
  }
  return bound;
}

inline void BindNothing(std::string_view function, const Arguments& arguments) {
  if (!arguments.positional.empty() || !arguments.named.empty()) Fail("{}() takes no arguments", function);
}

// An integer parameter with a default; fails on anything but an integer.
inline int64_t IntegerOr(const Value& value, int64_t otherwise, std::string_view what) {
  if (value.Is(Kind::kMissing)) return otherwise;
  if (value.Is(Kind::kUndefined)) Fail("{}", value.bytes());
  if (!value.IsIntegral()) Fail("{}: '{}' object cannot be interpreted as an integer", what, TypeName(value));
  return value.integer();
}

inline bool BoolOr(const Value& value, bool otherwise) {
  return value.Is(Kind::kMissing) ? otherwise : Truth(value);
}

}  // namespace hone::chat
