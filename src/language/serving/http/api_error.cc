#include "language/serving/http/api_error.h"

#include <nlohmann/json.hpp>

#include "language/serving/http/http_message.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

std::string_view TypeOf(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

}  // namespace

std::string ErrorBody(const ApiError& error) {
  Json body;
  body["error"] = {{"message", error.message},
                   {"type", TypeOf(error.status)},
                   {"param", OrNull(error.param)},
                   {"code", OrNull(error.code)}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

tl::unexpected<ApiError> BadField(std::string param, std::string message) {
  ApiError error{400, std::move(message)};
  error.param = std::move(param);
  return tl::unexpected(std::move(error));
}

ApiError FromEngine(const Error& error) {
  ApiError result{error.kind == ErrorKind::kFailed ? 500 : 400, error.message};
  return result;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return status < 500 ? "Error" : "Internal Server Error";
  }
}

}  // namespace hone
