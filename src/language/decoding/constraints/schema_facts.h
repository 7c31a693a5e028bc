// What a JSON Schema (draft 2020-12, and the spellings of drafts 4 to 7) says of a value: references
// resolved, everything that holds together merged, and alternatives side by side.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/printable.h"
#include "core/base/result.h"
#include "language/decoding/constraints/grammar.h"
#include "language/decoding/constraints/number_range.h"

namespace hone {

using Json = nlohmann::ordered_json;

// A schema inside the document, and where it stands ("#/properties/a").
struct Schema {
  const Json* json = nullptr;
  std::string path;
  Schema Below(std::string_view keyword) const;
  Schema Below(std::string_view keyword, const std::string& member) const;
};
// Schemas that all hold of one value.
using Schemas = std::vector<Schema>;
// The end of a scope (see Facts::Scope) whose schema is still being read.
inline constexpr size_t kOpenScope = std::numeric_limits<size_t>::max();

// A refusal: "JSON schema: PATH/KEYWORD: ...".
template <class... Args>
tl::unexpected<Error> BadSchema(const Schema& schema, std::string_view keyword,
                                fmt::format_string<Args...> text, Args&&... args) {
  const std::string path = keyword.empty() ? schema.path : fmt::format("{}/{}", schema.path, keyword);
  return BadInput("JSON schema", Printable(path, 300), "{}",
                  Printable(fmt::format(text, std::forward<Args>(args)...), 500));
}

enum ValueType : uint8_t {
  kNullType = 1,
  kBooleanType = 2,
  kIntegerType = 4,
  kFractionType = 8,  // numbers that are no integers
  kStringType = 16,
  kArrayType = 32,
  kObjectType = 64,
  kAnyType = 127,
};
uint8_t TypeOf(const Json& value);

// One alternative: a value is allowed if all of this holds of it. What concerns a type holds of values of
// that type alone.
struct Facts {
  uint8_t types = kAnyType;
  std::optional<std::vector<const Json*>> values;  // enum and const; in the document

  NumberRange range;
  std::vector<std::pair<int64_t, Schema>> divisors;

  uint32_t min_length = 0;
  uint32_t max_length = kUnbounded;
  struct Expression {
    std::string text;
    bool whole = false;  // a format; otherwise it matches somewhere
    Schema schema;
    std::string keyword;
  };
  std::vector<Expression> expressions;
  std::optional<Schema> length_schema;  // who bounds the length

  // unevaluated... speaks of what the schema itself and those that it applies leave open: these entries of
  // `members` or `items`, its own among them.
  struct Scope {
    size_t begin = 0;
    size_t end = 0;  // 0: there is no such keyword
    bool Holds(size_t index) const { return index >= begin && index < end; }
  };

  // The members as one schema sees them: those that it names, those that match a pattern, and the rest.
  struct Members {
    Schema schema;
    std::vector<std::pair<std::string, Schema>> named;
    std::vector<std::pair<std::string, Schema>> patterns;
    std::optional<Schema> others;
    Scope unevaluated;  // where `others` comes from unevaluatedProperties
  };
  std::vector<Members> members;
  std::vector<std::string> required;
  uint32_t min_members = 0;
  uint32_t max_members = kUnbounded;
  std::optional<Schema> members_schema;  // who bounds the number of members
  Schemas member_names;                  // propertyNames

  struct Items {
    Schema schema;
    Schemas first;
    std::optional<Schema> rest;
    Scope unevaluated;  // where `rest` comes from unevaluatedItems
  };
  std::vector<Items> items;
  uint32_t min_items = 0;
  uint32_t max_items = kUnbounded;

  // Whether nothing but the types is said.
  bool only_types() const;
};

class SchemaDocument {
 public:
  // The root must outlive this.
  explicit SchemaDocument(const Json& root) : root_{&root, "#"} {}
  const Schema& root() const { return root_; }

  // All alternatives of a value for which every one of the schemas holds. Errors: a keyword that no grammar
  // can enforce, a keyword with a value that it must not have, a reference that leads nowhere or in a circle.
  Result<std::vector<Facts>> Expand(const Schemas& schemas) const;

 private:
  using Alternatives = std::vector<Facts>;
  using Active = std::vector<const Json*>;
  Result<void> Apply(const Schema& schema, Alternatives& alternatives, Active& active) const;
  Result<void> ApplyEither(const Schema& schema, std::string_view keyword, bool exactly_one,
                           Alternatives& alternatives, Active& active) const;
  Result<Schema> Resolve(const Schema& schema, std::string_view keyword) const;
  // Whether no value satisfies both. False where that cannot be seen.
  bool Disjoint(const Facts& a, const Facts& b, int depth) const;
  bool DisjointMembers(const Facts& a, const Facts& b, const std::string& name, int depth) const;
  bool DisjointObjects(const Facts& a, const Facts& b, int depth) const;

  // Members of large objects by name, so that long lists of definitions are not searched.
  const Json* Find(const Json& object, const std::string& name) const;

  Schema root_;
  mutable std::map<const Json*, std::map<std::string_view, const Json*>> index_;
};

// The schemas that a member `name` must satisfy. An error where a pattern of patternProperties is broken.
Result<Schemas> MemberSchemas(const Facts& facts, const std::string& name);
// The schemas of a member that no schema names, matched by the pattern of the one entry of facts.members
// `patterned`, if that is not null, and by no other.
Schemas OtherMemberSchemas(const Facts& facts, const Facts::Members* patterned);
// The schemas of the element at `index`.
Schemas ElementSchemas(const Facts& facts, size_t index);

// schema_keywords.cc: what the keywords of one schema say by themselves, added to `facts`.
Result<void> AddKeywords(const Schema& schema, Facts& facts);

}  // namespace hone
