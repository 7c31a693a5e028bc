#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "language/decoding/constraints/schema_facts.h"

namespace hone {
namespace {

// Say nothing of what is valid.
constexpr std::array kAnnotations = {"$schema",
                                     "$id",
                                     "id",
                                     "$anchor",
                                     "$comment",
                                     "$vocabulary",
                                     "$defs",
                                     "definitions",
                                     "title",
                                     "description",
                                     "default",
                                     "examples",
                                     "example",
                                     "readOnly",
                                     "writeOnly",
                                     "deprecated",
                                     "contentEncoding",
                                     "contentMediaType",
                                     "contentSchema",
                                     "$dynamicAnchor",
                                     "discriminator",
                                     "externalDocs",
                                     "xml",
                                     "enumNames",
                                     "enumDescriptions",
                                     "markdownDescription",
                                     "strict"};
// Read by SchemaDocument.
constexpr std::array kCombining = {"$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf"};
// What a context-free grammar cannot hold, or this one does not.
constexpr std::array kRefused = {
    "not",          "if",       "then",        "else",       "dependentSchemas", "dependentRequired",
    "dependencies", "contains", "minContains", "maxContains"};

template <class List>
bool Contains(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string_view Kind(const Json& value) { return value.type_name(); }

Result<uint8_t> TypeNamed(const Schema& schema, const Json& name) {
  if (!name.is_string())
    return BadSchema(schema, "type", "found {}, expected the name of a type", Kind(name));
  const auto& text = name.get_ref<const std::string&>();
  if (text == "null") return kNullType;
  if (text == "boolean") return kBooleanType;
  if (text == "integer") return kIntegerType;
  if (text == "number") return static_cast<uint8_t>(kIntegerType | kFractionType);
  if (text == "string") return kStringType;
  if (text == "array") return kArrayType;
  if (text == "object") return kObjectType;
  return BadSchema(schema, "type",
                   "found \"{}\", expected one of null, boolean, integer, number, string, array, object",
                   text.substr(0, 40));
}

class KeywordReader {
 public:
  KeywordReader(const Schema& schema, Facts& facts) : schema_(schema), facts_(facts) {}

  Result<void> Read() {
    members_.schema = schema_;
    items_.schema = schema_;
    for (const auto& [keyword, value] : schema_.json->items()) {
      keyword_ = keyword;
      HONE_CHECK_OK(ReadOne(value));
    }
    if (!members_.named.empty() || !members_.patterns.empty() || members_.others) {
      facts_.members.push_back(std::move(members_));
    }
    if (!items_.first.empty() || items_.rest) facts_.items.push_back(std::move(items_));
    return {};
  }

 private:
  template <class... Args>
  tl::unexpected<Error> Wrong(fmt::format_string<Args...> text, Args&&... args) const {
    return BadSchema(schema_, keyword_, "{}", fmt::format(text, std::forward<Args>(args)...));
  }

  Result<void> ReadOne(const Json& value) {
    if (Contains(kAnnotations, keyword_) || Contains(kCombining, keyword_) || keyword_.starts_with("x-"))
      return {};
    if (Contains(kRefused, keyword_)) return Wrong("this keyword cannot be enforced by a grammar");
    if (keyword_ == "type") return ReadType(value);
    if (keyword_ == "nullable") return {};  // with the type
    if (keyword_ == "enum") return ReadEnum(value);
    if (keyword_ == "const") return RestrictTo({&value});
    if (keyword_ == "minimum" || keyword_ == "maximum") return ReadBound(value, false);
    if (keyword_ == "exclusiveMinimum" || keyword_ == "exclusiveMaximum") return ReadExclusive(value);
    if (keyword_ == "multipleOf") return ReadMultiple(value);
    if (keyword_ == "minLength" || keyword_ == "maxLength") return ReadLength(value);
    if (keyword_ == "pattern" || keyword_ == "format") return ReadExpression(value);
    if (keyword_ == "properties" || keyword_ == "patternProperties") return ReadMembers(value);
    if (keyword_ == "additionalProperties" || keyword_ == "unevaluatedProperties") return ReadOthers(value);
    if (keyword_ == "required") return ReadRequired(value);
    if (keyword_ == "minProperties" || keyword_ == "maxProperties") {
      facts_.members_schema = schema_;
      return ReadCount(value, keyword_[1] == 'i' ? &facts_.min_members : nullptr, &facts_.max_members);
    }
    if (keyword_ == "propertyNames") {
      facts_.member_names.push_back(schema_.Below(keyword_));
      return {};
    }
    if (keyword_ == "minItems" || keyword_ == "maxItems") {
      return ReadCount(value, keyword_[1] == 'i' ? &facts_.min_items : nullptr, &facts_.max_items);
    }
    if (keyword_ == "prefixItems" || keyword_ == "items" || keyword_ == "additionalItems" ||
        keyword_ == "unevaluatedItems") {
      return ReadItems(value);
    }
    if (keyword_ == "uniqueItems") {
      if (!value.is_boolean()) return Wrong("found {}, expected true or false", Kind(value));
      if (value.get<bool>()) unique_items_ = true;
      const Json* most = schema_.json->contains("maxItems") ? &(*schema_.json)["maxItems"] : nullptr;
      if (unique_items_ && !(most && most->is_number() && most->get<double>() <= 1)) {
        return Wrong("this keyword cannot be enforced by a grammar");
      }
      return {};
    }
    return Wrong("this keyword is not known, and what is not known cannot be enforced");
  }

  Result<void> ReadType(const Json& value) {
    uint8_t types = 0;
    if (value.is_array()) {
      for (const Json& name : value) {
        HONE_TRY(const uint8_t type, TypeNamed(schema_, name));
        types |= type;
      }
    } else {
      HONE_TRY(types, TypeNamed(schema_, value));
    }
    const auto nullable = schema_.json->find("nullable");
    if (nullable != schema_.json->end() && nullable->is_boolean() && nullable->get<bool>())
      types |= kNullType;
    facts_.types &= types;
    return {};
  }

  Result<void> ReadEnum(const Json& value) {
    if (!value.is_array()) return Wrong("found {}, expected an array of values", Kind(value));
    std::vector<const Json*> values;
    for (const Json& one : value) values.push_back(&one);
    return RestrictTo(std::move(values));
  }

  Result<void> RestrictTo(std::vector<const Json*> values) {
    if (facts_.values) {
      std::erase_if(values, [&](const Json* value) {
        return std::none_of(facts_.values->begin(), facts_.values->end(),
                            [&](const Json* known) { return *known == *value; });
      });
    }
    facts_.values = std::move(values);
    return {};
  }

  Result<void> ReadBound(const Json& value, bool exclusive) {
    if (!value.is_number()) return Wrong("found {}, expected a number", Kind(value));
    const bool low = keyword_ == "minimum" || keyword_ == "exclusiveMinimum";
    // Draft 4 has true or false beside the bound.
    const auto flag = schema_.json->find(low ? "exclusiveMinimum" : "exclusiveMaximum");
    if (!exclusive && flag != schema_.json->end() && flag->is_boolean()) exclusive = flag->get<bool>();
    const NumberRange::Bound bound{Decimal::Of(value), exclusive};
    if (low) {
      facts_.range.RaiseLow(bound);
    } else {
      facts_.range.LowerHigh(bound);
    }
    return {};
  }

  Result<void> ReadExclusive(const Json& value) {
    if (value.is_boolean()) return {};
    return ReadBound(value, true);
  }

  Result<void> ReadMultiple(const Json& value) {
    if (!value.is_number()) return Wrong("found {}, expected a number above 0", Kind(value));
    const double number = value.get<double>();
    if (!(number > 0)) return Wrong("found {}, expected a number above 0", value.dump());
    if (number != static_cast<double>(static_cast<int64_t>(std::min(number, 1e15)))) {
      return Wrong("found {}, but only whole divisors up to 10^15 can be enforced", value.dump());
    }
    facts_.types &= static_cast<uint8_t>(~kFractionType);
    facts_.divisors.emplace_back(static_cast<int64_t>(number), schema_);
    return {};
  }

  // A whole number that is not negative raises `min`, or where that is null lowers `max`.
  Result<void> ReadCount(const Json& value, uint32_t* min, uint32_t* max) {
    if (!value.is_number() || value.get<double>() < 0 ||
        value.get<double>() !=
            static_cast<double>(static_cast<int64_t>(std::min(value.get<double>(), 1e15)))) {
      return Wrong("found {}, expected a count", value.is_number() ? value.dump() : std::string(Kind(value)));
    }
    const auto count = static_cast<uint32_t>(std::min(value.get<double>(), 1e9));
    if (min) {
      *min = std::max(*min, count);
    } else {
      *max = std::min(*max, count);
    }
    return {};
  }

  Result<void> ReadLength(const Json& value) {
    facts_.length_schema = schema_;
    return ReadCount(value, keyword_ == "minLength" ? &facts_.min_length : nullptr, &facts_.max_length);
  }

  Result<void> ReadExpression(const Json& value) {
    if (!value.is_string()) return Wrong("found {}, expected a string", Kind(value));
    const auto& text = value.get_ref<const std::string&>();
    for (const Facts::Expression& known : facts_.expressions) {
      if (known.text == text && known.keyword == keyword_) return {};
    }
    facts_.expressions.push_back({text, keyword_ == "format", schema_, std::string(keyword_)});
    return {};
  }

  Result<void> CheckSchema(const Json& value) const {
    if (value.is_object() || value.is_boolean()) return {};
    return Wrong("found {}, expected a schema", Kind(value));
  }

  Result<void> ReadMembers(const Json& value) {
    if (!value.is_object()) return Wrong("found {}, expected an object of schemas", Kind(value));
    auto& members = keyword_ == "properties" ? members_.named : members_.patterns;
    for (const auto& [name, member] : value.items()) {
      HONE_CHECK_OK(CheckSchema(member));
      members.emplace_back(name, schema_.Below(keyword_, name));
    }
    return {};
  }

  Result<void> ReadOthers(const Json& value) {
    HONE_CHECK_OK(CheckSchema(value));
    const bool unevaluated = keyword_ == "unevaluatedProperties";
    if (unevaluated && schema_.json->contains("additionalProperties")) return {};  // nothing is left for it
    members_.others = schema_.Below(keyword_);
    if (unevaluated) members_.unevaluated = {facts_.members.size(), kOpenScope};
    return {};
  }

  Result<void> ReadRequired(const Json& value) {
    if (value.is_boolean()) return Wrong("found a boolean, expected an array of names");
    if (!value.is_array()) return Wrong("found {}, expected an array of names", Kind(value));
    for (const Json& name : value) {
      if (!name.is_string()) return Wrong("found {} in it, expected names", Kind(name));
      const auto& text = name.get_ref<const std::string&>();
      if (!Contains(facts_.required, text)) facts_.required.push_back(text);
    }
    return {};
  }

  Result<void> ReadItems(const Json& value) {
    if (value.is_array()) {  // prefixItems, or items as in draft 7
      if (keyword_ != "prefixItems" && keyword_ != "items") return Wrong("found an array, expected a schema");
      for (size_t i = 0; i < value.size(); ++i) {
        HONE_CHECK_OK(CheckSchema(value[i]));
        items_.first.push_back({&value[i], fmt::format("{}/{}/{}", schema_.path, keyword_, i)});
      }
      return {};
    }
    if (keyword_ == "prefixItems") return Wrong("found {}, expected an array of schemas", Kind(value));
    HONE_CHECK_OK(CheckSchema(value));
    const auto items = schema_.json->find("items");
    const bool has_items = items != schema_.json->end();
    // In draft 7 additionalItems says something only beside an array of items; unevaluatedItems never does
    // where something else speaks of the rest.
    if (keyword_ == "additionalItems" && !(has_items && items->is_array())) return {};
    const bool has_rest =
        (has_items && !items->is_array()) || (has_items && schema_.json->contains("additionalItems"));
    if (keyword_ == "unevaluatedItems" && has_rest) return {};
    if (keyword_ == "unevaluatedItems") items_.unevaluated = {facts_.items.size(), kOpenScope};
    items_.rest = schema_.Below(keyword_);
    return {};
  }

  const Schema& schema_;
  Facts& facts_;
  std::string_view keyword_;
  Facts::Members members_;
  Facts::Items items_;
  bool unique_items_ = false;
};

}  // namespace

Result<void> AddKeywords(const Schema& schema, Facts& facts) { return KeywordReader(schema, facts).Read(); }

}  // namespace hone
