// Compiles a JSON Schema to grammar rules, place by place.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "language/decoding/constraints/grammar_builder.h"
#include "language/decoding/constraints/json_grammar.h"
#include "language/decoding/constraints/schema_facts.h"

namespace hone {

// Schema text to JSON: an error for what is nested deeper than 256 or is not JSON.
Result<Json> ParseSchemaText(std::string_view text);

class SchemaCompiler {
 public:
  // Both outlive the compiler.
  SchemaCompiler(const SchemaDocument& document, GrammarBuilder& builder)
      : document_(document), builder_(builder), json_(builder) {}

  // The rule of values for which all of the schemas hold; the same schemas give the same rule, so recursion
  // ends.
  Result<Symbol> Compile(const Schemas& schemas);
  JsonGrammar& json() { return json_; }

 private:
  struct Member {
    Symbol pair;  // "key": value
    bool required = false;
  };
  // As Compile, but the rule is written later.
  Symbol Value(const Schemas& schemas);
  Result<Symbol> Alternative(const Schema& schema, const Facts& facts);
  Result<Symbol> Listed(const Schema& schema, const Facts& facts);
  Result<Symbol> Number(const Facts& facts);
  Result<Symbol> String(const Facts& facts);
  Result<Symbol> StringContent(const Facts& facts);
  Result<Symbol> Array(const Facts& facts);
  Result<Symbol> Object(const Schema& schema, const Facts& facts);
  Result<std::optional<Symbol>> OtherPair(const Schema& schema, const Facts& facts,
                                          const std::vector<std::string>& names);
  Result<void> CheckNames(const Schema& schema, Symbol key, const std::vector<std::string>& names);
  Result<Symbol> Members(const Facts& facts, const std::vector<Member>& members,
                         const std::optional<Symbol>& other);

  const SchemaDocument& document_;
  GrammarBuilder& builder_;
  JsonGrammar json_;
  std::map<std::vector<const Json*>, Symbol> rules_;
  std::deque<std::pair<Symbol, Schemas>> waiting_;
};

}  // namespace hone
