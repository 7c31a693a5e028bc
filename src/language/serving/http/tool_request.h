// The tools of a request: what may be called, and whether it must.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "language/decoding/constraints/tool_calls.h"
#include "language/serving/http/request_fields.h"

namespace hone {

struct ToolRequest {
  std::shared_ptr<const nlohmann::ordered_json> list;  // as it was sent; null: none
  std::vector<std::string> names;                      // of the tools
  ToolChoice choice = ToolChoice::kNone;
  std::string named;     // of kNamed
  bool parallel = true;  // more than one call in an answer

  bool active() const { return choice != ToolChoice::kNone; }
  // Where the model's template does not show tools, what it writes is not known.
  ToolCallOptions Options(std::optional<ToolSyntax> syntax) const;
  std::vector<ToolDeclaration> Declarations() const;
  // The same tools with the same choice, and only these, have this text.
  std::string Key() const;
};

// tools, tool_choice and parallel_tool_calls. A choice without tools, or of a tool that is not declared, is
// 400; whether the tools' schemas compile is found out by AnswerConstraints.
ApiResult<ToolRequest> ReadTools(RequestFields& fields);

// For templates that do not show tools: tells the model of them in the system message, which is added where
// there is none.
void DescribeTools(const ToolRequest& tools, nlohmann::ordered_json& messages);

}  // namespace hone
