#include "language/serving/http/answer_format.h"

#include <nlohmann/json.hpp>

#include "language/decoding/constraints/compile.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;
using Kind = AnswerFormat::Kind;

// A schema as text; one that is a string is taken to be that text already.
std::string SchemaText(const Json& schema) {
  return schema.is_string() ? schema.get<std::string>()
                            : schema.dump(-1, ' ', false, Json::error_handler_t::replace);
}

ApiResult<std::optional<AnswerFormat>> ReadTyped(const Json& format, const std::string& field) {
  const Json type = format.value("type", Json());
  if (type == "text") return std::optional<AnswerFormat>();
  if (type == "json_object") {
    const Json schema = format.value("schema", Json());
    if (schema.is_null()) return AnswerFormat{Kind::kJsonObject, "", field};
    return AnswerFormat{Kind::kJsonSchema, SchemaText(schema), field + ".schema"};
  }
  if (type == "json_schema") {
    const bool wrapped = format.contains("json_schema");
    const Json& holder = wrapped ? format["json_schema"] : format;
    const std::string place = wrapped ? field + ".json_schema" : field;
    if (!holder.is_object() || holder.value("schema", Json()).is_null()) {
      return BadField(place, place + ".schema: absent, expected a JSON schema");
    }
    return AnswerFormat{Kind::kJsonSchema, SchemaText(holder["schema"]), place + ".schema"};
  }
  if (type == "grammar" && format.value("grammar", Json()).is_string()) {
    return AnswerFormat{Kind::kGrammar, format["grammar"].get<std::string>(), field + ".grammar"};
  }
  if (type == "regex" && format.value("pattern", Json()).is_string()) {
    return AnswerFormat{Kind::kRegex, format["pattern"].get<std::string>(), field + ".pattern"};
  }
  return BadField(field + ".type",
                  field +
                      ".type: expected \"text\", \"json_object\" or \"json_schema\" (or \"grammar\" with "
                      "`grammar`, \"regex\" with `pattern`)");
}

// An expression that matches one of the texts.
ApiResult<AnswerFormat> OneOf(const Json& choices) {
  if (choices.empty()) return BadField("guided_choice", "guided_choice: empty, expected at least one text");
  std::string grammar = "root ::= ";
  for (size_t i = 0; i < choices.size(); ++i) {
    if (!choices[i].is_string()) {
      return BadField("guided_choice", fmt::format("guided_choice[{}]: expected a string", i));
    }
    grammar += i == 0 ? "\"" : " | \"";
    for (const char c : choices[i].get<std::string>()) {
      const auto byte = static_cast<unsigned char>(c);
      const bool plain = byte >= 0x20 && c != '"' && c != '\\' && byte != 0x7f;
      grammar += plain ? std::string(1, c) : fmt::format("\\x{:02X}", byte);
    }
    grammar += "\"";
  }
  return AnswerFormat{Kind::kGrammar, grammar, "guided_choice"};
}

}  // namespace

ApiResult<std::optional<AnswerFormat>> ReadAnswerFormat(RequestFields& fields) {
  std::optional<AnswerFormat> found;
  std::string first;
  const auto take = [&](AnswerFormat format, const std::string& name) -> ApiResult<void> {
    if (found) return BadField(name, fmt::format("{}: not together with {}", name, first));
    found = std::move(format);
    first = name;
    return {};
  };
  HONE_TRY(const Json* format, fields.Object("response_format"));
  if (format != nullptr) {
    HONE_TRY(auto typed, ReadTyped(*format, "response_format"));
    if (typed) HONE_CHECK_OK(take(std::move(*typed), "response_format"));
  }
  for (const char* name : {"grammar", "guided_grammar", "regex", "guided_regex"}) {
    HONE_TRY(const auto text, fields.String(name));
    if (!text) continue;
    const bool regex = std::string_view(name).ends_with("regex");
    HONE_CHECK_OK(take({regex ? Kind::kRegex : Kind::kGrammar, *text, name}, name));
  }
  for (const char* name : {"json_schema", "guided_json"}) {
    const Json* schema = fields.Find(name);
    if (schema != nullptr) HONE_CHECK_OK(take({Kind::kJsonSchema, SchemaText(*schema), name}, name));
  }
  HONE_TRY(const Json* choices, fields.Array("guided_choice"));
  if (choices != nullptr) {
    HONE_TRY(AnswerFormat one_of, OneOf(*choices));
    HONE_CHECK_OK(take(std::move(one_of), "guided_choice"));
  }
  return found;
}

ApiResult<std::optional<AnswerFormat>> ReadTextFormat(RequestFields& fields) {
  HONE_TRY(const Json* text, fields.Object("text"));
  if (text == nullptr) return std::optional<AnswerFormat>();
  RequestFields inner(*text, "text.");
  HONE_TRY(const Json* format, inner.Object("format"));
  if (format == nullptr) return std::optional<AnswerFormat>();
  return ReadTyped(*format, "text.format");
}

ApiResult<Constraint> Compile(const AnswerFormat& format) {
  const auto compiled = [&]() -> Result<Constraint> {
    switch (format.kind) {
      case Kind::kJsonSchema:
        return CompileJsonSchema(format.source);
      case Kind::kGrammar:
        return CompileGbnf(format.source);
      case Kind::kRegex:
        return CompileRegex(format.source);
      case Kind::kJsonObject:
        break;
    }
    return AnyJsonObject();
  }();
  if (!compiled) return BadField(format.field, fmt::format("{}: {}", format.field, compiled.error().message));
  return *compiled;
}

}  // namespace hone
