// What a request asks of its answer's form: response_format, and the fields that other servers have for it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "language/decoding/constraints/constraint.h"
#include "language/serving/http/request_fields.h"

namespace hone {

struct AnswerFormat {
  enum class Kind : uint8_t { kJsonObject, kJsonSchema, kGrammar, kRegex };
  Kind kind = Kind::kJsonObject;
  std::string source;  // schema, grammar or expression
  std::string field;   // that asked for it

  // Equal for equal formats.
  std::string Key() const { return std::to_string(static_cast<int>(kind)) + source; }
};

// response_format ({"type": "text"}, {"type": "json_object"} perhaps with a `schema`, {"type": "json_schema",
// "json_schema": {"schema": ..}}), grammar (GBNF), regex, json_schema, and guided_json, guided_regex,
// guided_choice, guided_grammar. More than one of them is 400. Nothing: the answer is free.
ApiResult<std::optional<AnswerFormat>> ReadAnswerFormat(RequestFields& fields);
// The same for `text.format` of the responses API, which spells a schema without the object around it.
ApiResult<std::optional<AnswerFormat>> ReadTextFormat(RequestFields& fields);

// 400 with the field, the place in it and the keyword where it does not compile.
ApiResult<Constraint> Compile(const AnswerFormat& format);

}  // namespace hone
