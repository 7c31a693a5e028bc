// Reads the fields of a request's JSON object: each by name and type, null like absent, errors with the name.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "language/serving/http/api_error.h"

namespace hone {

// A request's body: an object, nested at most kDeepestJson deep. Anything else is 400.
inline constexpr int kDeepestJson = 128;
ApiResult<nlohmann::ordered_json> ParseBody(std::string_view body);

class RequestFields {
 public:
  using Json = nlohmann::ordered_json;

  // `object` outlives the fields; `prefix` stands before names in errors ("stream_options.").
  explicit RequestFields(const Json& object, std::string prefix = "");

  // Null where the field is absent or null.
  const Json* Find(const std::string& name);

  ApiResult<std::optional<double>> Number(const std::string& name, double low, double high);
  ApiResult<std::optional<int64_t>> Integer(const std::string& name, int64_t low, int64_t high);
  ApiResult<std::optional<bool>> Bool(const std::string& name);
  ApiResult<std::optional<std::string>> String(const std::string& name);
  ApiResult<const Json*> Object(const std::string& name);
  ApiResult<const Json*> Array(const std::string& name);

  // The fields that carry something and that nobody asked for.
  std::vector<std::string> Unread() const;

 private:
  tl::unexpected<ApiError> Wrong(const std::string& name, const Json& found, std::string_view expected) const;

  const Json& object_;
  std::string prefix_;
  std::set<std::string> read_;
};

// HONE_TRY for ApiResult: the same macros work, both are tl::expected.

}  // namespace hone
