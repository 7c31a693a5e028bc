// Errors are values. A function that can fail on its input returns Result<T>; its error says what went wrong in one
// line, and which exit code the program ends with.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace hone {

// The value is the exit code of the `hone` program.
enum class ErrorKind {
  kFailed = 1,         // the work failed: disk full, memory limit, network, a NaN in the forward pass
  kUsage = 2,          // the caller asked for something that does not exist or does not go together
  kBadInput = 3,       // a file or message is not what it must be
  kInterrupted = 130,  // the user said stop
};

struct Error {
  ErrorKind kind = ErrorKind::kFailed;
  std::string message;  // one line, no trailing full stop or newline
};

template <class T>
using Result = tl::expected<T, Error>;

template <class... Args>
tl::unexpected<Error> Failed(fmt::format_string<Args...> text, Args&&... args) {
  return tl::unexpected(Error{ErrorKind::kFailed, fmt::format(text, std::forward<Args>(args)...)});
}

template <class... Args>
tl::unexpected<Error> WrongUsage(fmt::format_string<Args...> text, Args&&... args) {
  return tl::unexpected(Error{ErrorKind::kUsage, fmt::format(text, std::forward<Args>(args)...)});
}

// "FILE: FIELD: what was found, what was expected"
template <class... Args>
tl::unexpected<Error> BadInput(std::string_view file, std::string_view field, fmt::format_string<Args...> text,
                               Args&&... args) {
  return tl::unexpected(Error{ErrorKind::kBadInput,
                              fmt::format("{}: {}: {}", file, field, fmt::format(text, std::forward<Args>(args)...))});
}

#define HONE_CONCAT_INNER(a, b) a##b
#define HONE_CONCAT(a, b) HONE_CONCAT_INNER(a, b)

// HONE_TRY(auto x, F()): x is F's value, or the enclosing function returns F's error.
#define HONE_TRY(declaration, expression) \
  HONE_TRY_INNER(HONE_CONCAT(hone_result_, __LINE__), declaration, expression)
#define HONE_TRY_INNER(result, declaration, expression)             \
  auto result = (expression);                                       \
  if (!result) return tl::unexpected(std::move(result).error());    \
  declaration = std::move(*result)

// HONE_CHECK_OK(F()): returns F's error from the enclosing function; F returns Result<void>.
#define HONE_CHECK_OK(expression)                                                                       \
  do {                                                                                                  \
    if (auto hone_status = (expression); !hone_status) return tl::unexpected(std::move(hone_status).error()); \
  } while (false)

}  // namespace hone
