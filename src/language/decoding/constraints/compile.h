// From what a user writes to what an answer must look like: the entry points of constrained decoding.
//
//   HONE_TRY(Constraint constraint, CompileJsonSchema(R"({"type": "object", ...})"));
//   auto table = std::make_shared<TokenTable>(tokenizer);           // once for a model
//   auto masks = std::make_shared<TokenMasks>(constraint, table, ends);  // may be kept for the same schema
//   sampler.AddProcessor(std::make_unique<GrammarProcessor>(masks));    // one for each answer
#pragma once

#include <concepts>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "language/decoding/constraints/constraint.h"

namespace hone {

// A grammar in GBNF, the notation of llama.cpp: rules NAME ::= ..., literals, classes, groups, * + ? {n,m},
// comments behind #; the sentence is the rule `root`. Errors name line and column.
Result<Constraint> CompileGbnf(std::string_view grammar);

// The whole answer matches the expression. Errors name the character.
Result<Constraint> CompileRegex(std::string_view expression);

// The answer is a JSON value for which the schema holds: draft 2020-12, and what drafts 4 to 7 spelled
// otherwise. Members come in the schema's order; white space is at most one space or one line break with
// indentation between tokens, none behind the value. Errors name the place and the keyword
// ("JSON schema: #/properties/a/not: ..."): what no grammar can enforce is refused, never ignored. Numbers
// without bounds have at most 40 digits on each side of the point.
Result<Constraint> CompileJsonSchemaValue(const nlohmann::ordered_json& schema);
Result<Constraint> CompileJsonSchema(std::string_view schema);
// JSON itself, and nothing that merely turns into JSON or out of it.
template <std::same_as<nlohmann::ordered_json> Json>
Result<Constraint> CompileJsonSchema(const Json& schema) {
  return CompileJsonSchemaValue(schema);
}

// Any JSON object.
Result<Constraint> AnyJsonObject();

}  // namespace hone
