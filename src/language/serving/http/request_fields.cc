#include "language/serving/http/request_fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

// How deep brackets nest, strings left out; the parser itself would take any depth.
int Depth(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

ApiResult<nlohmann::ordered_json> ParseBody(std::string_view body) {
  if (body.empty()) return tl::unexpected(ApiError{400, "request body: empty, expected a JSON object"});
  if (const int depth = Depth(body); depth > kDeepestJson) {
    return tl::unexpected(
        ApiError{400, fmt::format("request body: nested {} deep, expected at most {}", depth, kDeepestJson)});
  }
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(body, nullptr, false);
  if (json.is_discarded()) return tl::unexpected(ApiError{400, "request body: not valid JSON"});
  if (!json.is_object()) {
    return tl::unexpected(
        ApiError{400, fmt::format("request body: found {}, expected an object", json.type_name())});
  }
  return json;
}

RequestFields::RequestFields(const Json& object, std::string prefix)
    : object_(object), prefix_(std::move(prefix)) {}

tl::unexpected<ApiError> RequestFields::Wrong(const std::string& name, const Json& found,
                                              std::string_view expected) const {
  std::string shown = found.is_structured() ? std::string(found.type_name())
                                            : found.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
  return BadField(prefix_ + name, fmt::format("{}{}: found {}, expected {}", prefix_, name, shown, expected));
}

const RequestFields::Json* RequestFields::Find(const std::string& name) {
  read_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

ApiResult<std::optional<double>> RequestFields::Number(const std::string& name, double low, double high) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const std::string expected = fmt::format("a number from {} to {}", low, high);
  if (!value->is_number()) return Wrong(name, *value, expected);
  const double number = value->get<double>();
  if (!(number >= low && number <= high)) return Wrong(name, *value, expected);
  return number;
}

ApiResult<std::optional<int64_t>> RequestFields::Integer(const std::string& name, int64_t low, int64_t high) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const std::string expected = fmt::format("a whole number from {} to {}", low, high);
  if (!value->is_number()) return Wrong(name, *value, expected);
  if (value->is_number_float()) {
    // Clients of some languages write 1.0.
    const double number = value->get<double>();
    if (number != std::floor(number) || std::abs(number) > 9e15) return Wrong(name, *value, expected);
    const auto whole = static_cast<int64_t>(number);
    if (whole < low || whole > high) return Wrong(name, *value, expected);
    return whole;
  }
  if (value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return Wrong(name, *value, expected);
  }
  const auto number = value->get<int64_t>();
  if (number < low || number > high) return Wrong(name, *value, expected);
  return number;
}

ApiResult<std::optional<bool>> RequestFields::Bool(const std::string& name) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) return Wrong(name, *value, "true or false");
  return value->get<bool>();
}

ApiResult<std::optional<std::string>> RequestFields::String(const std::string& name) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return Wrong(name, *value, "a string");
  return value->get<std::string>();
}

ApiResult<const RequestFields::Json*> RequestFields::Object(const std::string& name) {
  const Json* value = Find(name);
  if (value != nullptr && !value->is_object()) return Wrong(name, *value, "an object");
  return value;
}

ApiResult<const RequestFields::Json*> RequestFields::Array(const std::string& name) {
  const Json* value = Find(name);
  if (value != nullptr && !value->is_array()) return Wrong(name, *value, "an array");
  return value;
}

std::vector<std::string> RequestFields::Unread() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : object_.items()) {
    if (!value.is_null() && !read_.contains(name)) names.push_back(prefix_ + name);
  }
  return names;
}

}  // namespace hone
