// A second opinion on JSON Schema for tests: a validator that walks the value, written apart from the
// compiler. It knows the keywords that random schemas are made of.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

namespace hone::testing {

using Json = nlohmann::ordered_json;

class JsonValidator {
 public:
  explicit JsonValidator(const Json& root) : root_(root) {}
  bool Valid(const Json& value) const { return Valid(root_, value); }

 private:
  static bool HasType(const std::string& type, const Json& value) {
    if (type == "integer") return value.is_number() && std::floor(value.get<double>()) == value.get<double>();
    if (type == "number") return value.is_number();
    return type == value.type_name();
  }

  static size_t Length(const std::string& text) {
    size_t length = 0;
    for (const char c : text) length += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
    return length;
  }

  bool Valid(const Json& schema, const Json& value) const {
    if (schema.is_boolean()) return schema.get<bool>();
    for (const auto& [keyword, argument] : schema.items()) {
      if (!Holds(schema, keyword, argument, value)) return false;
    }
    return true;
  }

  bool Holds(const Json& schema, const std::string& keyword, const Json& argument, const Json& value) const {
    if (keyword == "type") {
      if (argument.is_string()) return HasType(argument, value);
      return std::any_of(argument.begin(), argument.end(), [&](const Json& t) { return HasType(t, value); });
    }
    if (keyword == "enum") return std::find(argument.begin(), argument.end(), value) != argument.end();
    if (keyword == "const") return argument == value;
    if (keyword == "$ref") {
      return Valid(root_.at(nlohmann::ordered_json::json_pointer(argument.get<std::string>().substr(1))),
                   value);
    }
    if (keyword == "allOf") {
      return std::all_of(argument.begin(), argument.end(), [&](const Json& s) { return Valid(s, value); });
    }
    if (keyword == "anyOf") {
      return std::any_of(argument.begin(), argument.end(), [&](const Json& s) { return Valid(s, value); });
    }
    if (keyword == "oneOf") {
      return std::count_if(argument.begin(), argument.end(),
                           [&](const Json& s) { return Valid(s, value); }) == 1;
    }
    if (value.is_number()) return HoldsOfNumber(keyword, argument, value.get<double>());
    if (value.is_string()) return HoldsOfString(keyword, argument, value.get<std::string>());
    if (value.is_array()) return HoldsOfArray(schema, keyword, argument, value);
    if (value.is_object()) return HoldsOfObject(schema, keyword, argument, value);
    return true;
  }

  static bool HoldsOfNumber(const std::string& keyword, const Json& argument, double value) {
    if (keyword == "minimum") return value >= argument.get<double>();
    if (keyword == "maximum") return value <= argument.get<double>();
    if (keyword == "exclusiveMinimum") return value > argument.get<double>();
    if (keyword == "exclusiveMaximum") return value < argument.get<double>();
    if (keyword == "multipleOf") return std::fmod(value, argument.get<double>()) == 0;
    return true;
  }

  static bool HoldsOfString(const std::string& keyword, const Json& argument, const std::string& value) {
    if (keyword == "minLength") return Length(value) >= argument.get<size_t>();
    if (keyword == "maxLength") return Length(value) <= argument.get<size_t>();
    if (keyword == "pattern") return std::regex_search(value, std::regex(argument.get<std::string>()));
    return true;
  }

  bool HoldsOfArray(const Json& schema, const std::string& keyword, const Json& argument,
                    const Json& value) const {
    if (keyword == "minItems") return value.size() >= argument.get<size_t>();
    if (keyword == "maxItems") return value.size() <= argument.get<size_t>();
    const size_t prefix = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
    for (size_t i = 0; i < value.size(); ++i) {
      if (keyword == "prefixItems" && i < prefix && !Valid(argument[i], value[i])) return false;
      if (keyword == "items" && i >= prefix && !Valid(argument, value[i])) return false;
    }
    return true;
  }

  bool HoldsOfObject(const Json& schema, const std::string& keyword, const Json& argument,
                     const Json& value) const {
    if (keyword == "minProperties") return value.size() >= argument.get<size_t>();
    if (keyword == "maxProperties") return value.size() <= argument.get<size_t>();
    if (keyword == "required") {
      return std::all_of(argument.begin(), argument.end(),
                         [&](const Json& name) { return value.contains(name.get<std::string>()); });
    }
    for (const auto& [name, member] : value.items()) {
      const bool named = schema.contains("properties") && schema["properties"].contains(name);
      if (keyword == "properties" && named && !Valid(argument[name], member)) return false;
      if (keyword == "additionalProperties" && !named && !Valid(argument, member)) return false;
    }
    return true;
  }

  const Json& root_;
};

}  // namespace hone::testing
