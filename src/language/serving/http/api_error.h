// Errors in the form that clients of the OpenAI API read.
#pragma once

#include <string>

#include "core/base/result.h"

namespace hone {

struct ApiError {
  int status = 500;
  std::string message;
  std::string param;                 // the field; empty: null
  std::string code;                  // such as "context_length_exceeded"; empty: null
  double retry_after_seconds = 0.0;  // > 0: a Retry-After header
};

template <class T>
using ApiResult = tl::expected<T, ApiError>;

// {"error": {"message", "type", "param", "code"}}; the type follows from the status.
std::string ErrorBody(const ApiError& error);

// 400 with the field's name.
tl::unexpected<ApiError> BadField(std::string param, std::string message);

// What the engine said about a request: its fault (400) or the server's (500).
ApiError FromEngine(const Error& error);

}  // namespace hone
