// Grammars that keep tool calls to the tools that were declared.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "language/decoding/constraints/constraint.h"

namespace hone {

class TokenTable;

struct ToolDeclaration {
  std::string name;
  const nlohmann::ordered_json* parameters = nullptr;  // a JSON Schema of an object; null: any object
};

// How a model family writes a call.
enum class ToolSyntax : uint8_t {
  kHermes,     // <tool_call>\n{"name": "f", "arguments": {..}}\n</tool_call>, one behind the other (Qwen,
               // Hermes)
  kLlama3,     // {"name": "f", "parameters": {..}}, one call, perhaps behind <|python_tag|>
  kMistral,    // [TOOL_CALLS][{"name": "f", "arguments": {..}}, ..]
  kPlainJson,  // {"name": "f", "arguments": {..}}, or an array of such where calls may be parallel
};

enum class ToolChoice : uint8_t {
  kNone,      // no call: nothing to constrain, the tools are not shown to the model
  kAuto,      // text, or calls: free until a call begins, then held to the grammar (a lazy trigger)
  kRequired,  // at least one call, of any tool
  kNamed,     // calls of the one tool `name`
};

// How an answer begins that is a call, or a list of calls, without a marker. Where a choice is left to the
// model these begin a call in every syntax.
inline constexpr std::string_view kBareCall = "{\"name\"";
inline constexpr std::string_view kBareList = "[{\"name\"";

struct ToolCallOptions {
  ToolSyntax syntax = ToolSyntax::kHermes;
  ToolChoice choice = ToolChoice::kAuto;
  std::string name;      // of kNamed
  bool parallel = true;  // more than one call in an answer
};

// The syntax that a chat template's source shows; nothing where it shows no tool calls.
std::optional<ToolSyntax> DetectToolSyntax(std::string_view chat_template);

// Nothing where the answer stays free (kNone). `table`: whose control tokens the markers may be; null:
// markers are plain text. Errors: a tool's schema that does not compile, by the tool's name
// ("tool \"f\": JSON schema: #/..."); the same name twice; a named tool that is not declared; no tool at all.
Result<std::optional<Constraint>> ToolCallGrammar(std::span<const ToolDeclaration> tools,
                                                  const ToolCallOptions& options, const TokenTable* table);

}  // namespace hone
