#include "language/decoding/constraints/schema_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "language/decoding/constraints/recognizer.h"
#include "language/decoding/constraints/regex_grammar.h"

namespace hone {
namespace {

constexpr size_t kMostAlternatives = 2000;  // of one place in a schema
constexpr size_t kDeepestReference = 100;   // references and combinations inside one another
constexpr int kDeepestComparison = 4;       // how far down oneOf's branches are told apart

std::string PointerToken(const std::string& member) {
  std::string token;
  for (const char c : member) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return token;
}

// One step of a reference: %xx, then ~0 and ~1.
std::string PlainToken(std::string_view token) {
  std::string plain;
  const auto hex = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '%' && i + 2 < token.size() && std::isxdigit(static_cast<unsigned char>(token[i + 1])) &&
        std::isxdigit(static_cast<unsigned char>(token[i + 2]))) {
      plain += static_cast<char>(hex(token[i + 1]) * 16 + hex(token[i + 2]));
      i += 2;
    } else {
      plain += token[i];
    }
  }
  std::string result;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] == '~' && i + 1 < plain.size() && (plain[i + 1] == '0' || plain[i + 1] == '1')) {
      result += plain[++i] == '0' ? '~' : '/';
    } else {
      result += plain[i];
    }
  }
  return result;
}

Result<bool> PatternMatches(const Schema& schema, const std::string& pattern, const std::string& text) {
  GrammarBuilder builder;
  const auto regex = ParseRegex(pattern);
  const auto symbol = regex ? RegexToGrammar(builder, *regex, RegexMatch::kContains,
                                             [&](const CodePointSet& set) { return builder.Characters(set); })
                            : Result<Symbol>(tl::unexpected(regex.error()));
  const auto grammar = symbol ? builder.Finish(*symbol, "pattern")
                              : Result<std::shared_ptr<const Grammar>>(tl::unexpected(symbol.error()));
  if (!grammar) return BadSchema(schema, "patternProperties", "{}", grammar.error().message);
  Recognizer recognizer(*grammar, 1);
  Recognizer::State state = recognizer.start();
  for (const char byte : text) state = recognizer.Step(state, static_cast<uint8_t>(byte));
  return state != Recognizer::kDead && recognizer.Accepts(state);
}

// What is said of members that a schema does not know itself: `known[i]`, facts.members[i] knows it.
void AddOthers(const Facts& facts, const std::vector<bool>& known, Schemas& schemas) {
  for (size_t i = 0; i < facts.members.size(); ++i) {
    const Facts::Members& members = facts.members[i];
    if (known[i] || !members.others) continue;
    bool evaluated = false;
    for (size_t other = 0; other < facts.members.size(); ++other) {
      if (other == i || !members.unevaluated.Holds(other)) continue;
      evaluated = evaluated || known[other] || facts.members[other].others;
    }
    if (!evaluated) schemas.push_back(*members.others);
  }
}

// All that the schema applies has been added: its unevaluated... keywords see no more.
void CloseScopes(const Json& json, Facts& facts) {
  for (Facts::Members& members : facts.members) {
    if (members.schema.json == &json && members.unevaluated.end == kOpenScope) {
      members.unevaluated.end = facts.members.size();
    }
  }
  for (Facts::Items& items : facts.items) {
    if (items.schema.json == &json && items.unevaluated.end == kOpenScope)
      items.unevaluated.end = facts.items.size();
  }
}

bool IsFalse(const Schemas& schemas) {
  return std::any_of(schemas.begin(), schemas.end(), [](const Schema& schema) {
    return schema.json->is_boolean() && !schema.json->get<bool>();
  });
}

}  // namespace

Schema Schema::Below(std::string_view keyword) const {
  return {&(*json)[std::string(keyword)], fmt::format("{}/{}", path, keyword)};
}

Schema Schema::Below(std::string_view keyword, const std::string& member) const {
  return {&(*json)[std::string(keyword)][member],
          fmt::format("{}/{}/{}", path, keyword, PointerToken(member))};
}

uint8_t TypeOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return kNullType;
    case Json::value_t::boolean:
      return kBooleanType;
    case Json::value_t::string:
      return kStringType;
    case Json::value_t::array:
      return kArrayType;
    case Json::value_t::object:
      return kObjectType;
    default:
      return Decimal::Of(value).is_whole() ? kIntegerType : kFractionType;
  }
}

bool Facts::only_types() const {
  return !values && range.unbounded() && divisors.empty() && min_length == 0 && max_length == kUnbounded &&
         expressions.empty() && members.empty() && required.empty() && min_members == 0 &&
         max_members == kUnbounded && member_names.empty() && items.empty() && min_items == 0 &&
         max_items == kUnbounded;
}

Result<Schema> SchemaDocument::Resolve(const Schema& schema, std::string_view keyword) const {
  const Json& reference = (*schema.json)[std::string(keyword)];
  if (!reference.is_string())
    return BadSchema(schema, keyword, "found {}, expected a string", reference.type_name());
  const auto& text = reference.get_ref<const std::string&>();
  if (keyword != "$ref") return BadSchema(schema, keyword, "dynamic references are not supported");
  if (!text.starts_with("#")) {
    return BadSchema(schema, keyword, "found \"{}\", expected a reference inside this document (#/...)",
                     text.substr(0, 80));
  }
  Schema target = root_;
  std::string_view rest = std::string_view(text).substr(1);
  if (!rest.empty() && rest[0] != '/') return BadSchema(schema, keyword, "named anchors are not supported");
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const size_t end = std::min(rest.find('/'), rest.size());
    const std::string token = PlainToken(rest.substr(0, end));
    rest.remove_prefix(end);
    const Json* next = nullptr;
    if (target.json->is_object()) {
      next = Find(*target.json, token);
    } else if (target.json->is_array() && !token.empty() && token.size() < 7 &&
               std::all_of(token.begin(), token.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
               std::stoul(token) < target.json->size()) {
      next = &(*target.json)[std::stoul(token)];
    }
    if (!next) return BadSchema(schema, keyword, "\"{}\" leads nowhere", text.substr(0, 80));
    target = {next, fmt::format("{}/{}", target.path, PointerToken(token))};
  }
  if (!target.json->is_object() && !target.json->is_boolean()) {
    return BadSchema(schema, keyword, "\"{}\" is no schema", text.substr(0, 80));
  }
  return target;
}

const Json* SchemaDocument::Find(const Json& object, const std::string& name) const {
  constexpr size_t kSmall = 64;
  if (object.size() <= kSmall) {
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
  }
  auto& names = index_[&object];
  if (names.empty()) {
    for (const auto& [key, value] : object.items()) names.try_emplace(key, &value);
  }
  const auto found = names.find(name);
  return found == names.end() ? nullptr : found->second;
}

Result<std::vector<Facts>> SchemaDocument::Expand(const Schemas& schemas) const {
  Alternatives alternatives(1);
  Active active;
  for (const Schema& schema : schemas) HONE_CHECK_OK(Apply(schema, alternatives, active));
  std::erase_if(alternatives, [](const Facts& facts) { return facts.types == 0; });
  return alternatives;
}

Result<void> SchemaDocument::Apply(const Schema& schema, Alternatives& alternatives, Active& active) const {
  const Json& json = *schema.json;
  if (json.is_boolean()) {
    if (!json.get<bool>()) alternatives.clear();
    return {};
  }
  if (!json.is_object()) return BadSchema(schema, "", "found {}, expected a schema", json.type_name());
  if (std::find(active.begin(), active.end(), &json) != active.end()) {
    return BadSchema(schema, "$ref", "the schema refers to itself without anything in between");
  }
  if (active.size() >= kDeepestReference) {
    return BadSchema(schema, "", "references and combinations are nested deeper than {}", kDeepestReference);
  }
  active.push_back(&json);
  Facts checked;  // so that a keyword is refused even where no alternative is left
  HONE_CHECK_OK(AddKeywords(schema, checked));
  for (Facts& facts : alternatives) HONE_CHECK_OK(AddKeywords(schema, facts));
  for (const std::string_view keyword : {"$ref", "$dynamicRef", "$recursiveRef"}) {
    if (!json.contains(std::string(keyword))) continue;
    HONE_TRY(const Schema target, Resolve(schema, keyword));
    HONE_CHECK_OK(Apply(target, alternatives, active));
  }
  for (const std::string_view keyword : {"allOf", "oneOf", "anyOf"}) {
    const auto branches = json.find(std::string(keyword));
    if (branches == json.end()) continue;
    if (!branches->is_array() || branches->empty()) {
      return BadSchema(schema, keyword, "expected an array of schemas");
    }
    if (keyword == "allOf") {
      for (size_t i = 0; i < branches->size(); ++i) {
        HONE_CHECK_OK(
            Apply({&(*branches)[i], fmt::format("{}/{}/{}", schema.path, keyword, i)}, alternatives, active));
      }
    } else {
      HONE_CHECK_OK(ApplyEither(schema, keyword, keyword == "oneOf", alternatives, active));
    }
  }
  for (Facts& facts : alternatives) CloseScopes(json, facts);
  active.pop_back();
  return {};
}

Result<void> SchemaDocument::ApplyEither(const Schema& schema, std::string_view keyword, bool exactly_one,
                                         Alternatives& alternatives, Active& active) const {
  const Json& branches = (*schema.json)[std::string(keyword)];
  std::vector<Alternatives> results;
  size_t count = 0;
  for (size_t i = 0; i < branches.size(); ++i) {
    Alternatives& result = results.emplace_back(alternatives);
    HONE_CHECK_OK(Apply({&branches[i], fmt::format("{}/{}/{}", schema.path, keyword, i)}, result, active));
    std::erase_if(result, [](const Facts& facts) { return facts.types == 0; });
    count += result.size();
    if (count > kMostAlternatives) {
      return BadSchema(schema, keyword, "more than {} combinations of alternatives", kMostAlternatives);
    }
  }
  for (size_t i = 0; exactly_one && i < results.size(); ++i) {
    for (size_t j = i + 1; j < results.size(); ++j) {
      for (const Facts& a : results[i]) {
        for (const Facts& b : results[j]) {
          if (Disjoint(a, b, 0)) continue;
          return BadSchema(
              schema, keyword,
              "a value might satisfy branches {} and {}, and \"exactly one\" cannot be enforced: use "
              "anyOf, or tell the branches apart by type or by a constant",
              i, j);
        }
      }
    }
  }
  alternatives.clear();
  for (Alternatives& result : results) {
    alternatives.insert(alternatives.end(), std::make_move_iterator(result.begin()),
                        std::make_move_iterator(result.end()));
  }
  return {};
}

bool SchemaDocument::DisjointMembers(const Facts& a, const Facts& b, const std::string& name,
                                     int depth) const {
  const auto of_a = MemberSchemas(a, name);
  const auto of_b = MemberSchemas(b, name);
  if (!of_a || !of_b) return false;
  const auto left = Expand(*of_a);
  const auto right = Expand(*of_b);
  if (!left || !right) return false;
  return std::all_of(left->begin(), left->end(), [&](const Facts& x) {
    return std::all_of(right->begin(), right->end(),
                       [&](const Facts& y) { return Disjoint(x, y, depth + 1); });
  });
}

bool SchemaDocument::DisjointObjects(const Facts& a, const Facts& b, int depth) const {
  // A member that one must have and the other must not, or that has no value which suits both.
  const auto differs = [&](const std::string& name) { return DisjointMembers(a, b, name, depth); };
  return a.min_members > b.max_members || b.min_members > a.max_members ||
         std::any_of(a.required.begin(), a.required.end(),
                     [&](const std::string& name) {
                       if (std::find(b.required.begin(), b.required.end(), name) != b.required.end())
                         return differs(name);
                       const auto schemas = MemberSchemas(b, name);
                       return schemas && IsFalse(*schemas);
                     }) ||
         std::any_of(b.required.begin(), b.required.end(), [&](const std::string& name) {
           const auto schemas = MemberSchemas(a, name);
           return schemas && IsFalse(*schemas);
         });
}

bool SchemaDocument::Disjoint(const Facts& a, const Facts& b, int depth) const {
  uint8_t types = a.types & b.types;
  if (a.values && b.values) {
    return std::none_of(a.values->begin(), a.values->end(), [&](const Json* value) {
      return std::any_of(b.values->begin(), b.values->end(),
                         [&](const Json* other) { return *other == *value; });
    });
  }
  for (const Facts* facts : {&a, &b}) {
    if (!facts->values) continue;
    uint8_t of_values = 0;
    for (const Json* value : *facts->values) of_values |= TypeOf(*value);
    types &= of_values;
  }
  if (types == 0) return true;
  if ((types & (kNullType | kBooleanType)) != 0 || depth > kDeepestComparison) return false;
  if ((types & (kIntegerType | kFractionType)) != 0) {
    NumberRange both = a.range;
    if (b.range.low) both.RaiseLow(*b.range.low);
    if (b.range.high) both.LowerHigh(*b.range.high);
    if (!both.empty()) return false;
  }
  if ((types & kStringType) != 0 && a.min_length <= b.max_length && b.min_length <= a.max_length)
    return false;
  if ((types & kArrayType) != 0 && a.min_items <= b.max_items && b.min_items <= a.max_items) return false;
  return (types & kObjectType) == 0 || DisjointObjects(a, b, depth);
}

Result<Schemas> MemberSchemas(const Facts& facts, const std::string& name) {
  Schemas schemas;
  std::vector<bool> known(facts.members.size(), false);
  for (size_t i = 0; i < facts.members.size(); ++i) {
    const Facts::Members& members = facts.members[i];
    for (const auto& [member, schema] : members.named) {
      if (member != name) continue;
      schemas.push_back(schema);
      known[i] = true;
    }
    for (const auto& [pattern, schema] : members.patterns) {
      HONE_TRY(const bool matches, PatternMatches(members.schema, pattern, name));
      if (!matches) continue;
      schemas.push_back(schema);
      known[i] = true;
    }
  }
  AddOthers(facts, known, schemas);
  return schemas;
}

Schemas OtherMemberSchemas(const Facts& facts, const Facts::Members* patterned) {
  Schemas schemas;
  std::vector<bool> known;
  for (const Facts::Members& members : facts.members) known.push_back(&members == patterned);
  if (patterned) schemas.push_back(patterned->patterns.front().second);
  AddOthers(facts, known, schemas);
  return schemas;
}

Schemas ElementSchemas(const Facts& facts, size_t index) {
  Schemas schemas;
  for (size_t i = 0; i < facts.items.size(); ++i) {
    const Facts::Items& items = facts.items[i];
    if (index < items.first.size()) {
      schemas.push_back(items.first[index]);
      continue;
    }
    if (!items.rest) continue;
    bool evaluated = false;
    for (size_t other = 0; other < facts.items.size(); ++other) {
      if (other == i || !items.unevaluated.Holds(other)) continue;
      evaluated = evaluated || facts.items[other].rest || index < facts.items[other].first.size();
    }
    if (!evaluated) schemas.push_back(*items.rest);
  }
  return schemas;
}

}  // namespace hone
