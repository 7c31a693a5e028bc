#include "language/serving/http/tool_request.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostTools = 128;

// The tools' names, in their order.
ApiResult<std::vector<std::string>> ReadNames(const Json& list) {
  std::vector<std::string> names;
  if (list.size() > kMostTools) {
    return BadField("tools", fmt::format("tools: found {}, expected at most {}", list.size(), kMostTools));
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& tool = list[i];
    const bool function = tool.is_object() && tool.value("type", Json()) == "function" &&
                          tool.contains("function") && tool["function"].is_object() &&
                          tool["function"].value("name", Json()).is_string();
    if (!function) {
      return BadField(
          fmt::format("tools[{}]", i),
          fmt::format("tools[{}]: expected {{\"type\": \"function\", \"function\": {{\"name\": ..}}}}", i));
    }
    names.push_back(tool["function"]["name"].get<std::string>());
  }
  return names;
}

// The name in {"type": "function", "function": {"name": ..}}, or what the responses API writes; else empty.
std::string NamedFunction(const Json& choice) {
  if (!choice.is_object() || choice.value("type", Json("function")) != "function") return "";
  const Json function = choice.value("function", choice);
  const Json name = function.is_object() ? function.value("name", Json()) : Json();
  return name.is_string() ? name.get<std::string>() : "";
}

ApiResult<void> ReadChoice(const Json& choice, ToolRequest& tools) {
  if (choice == "none") {
    tools.choice = ToolChoice::kNone;
    return {};
  }
  if (choice == "auto") return {};
  tools.named = NamedFunction(choice);
  if (choice != "required" && tools.named.empty()) {
    return BadField("tool_choice",
                    "tool_choice: expected \"none\", \"auto\", \"required\" or {\"type\": \"function\", "
                    "\"function\": {\"name\": ..}}");
  }
  if (tools.names.empty()) return BadField("tool_choice", "tool_choice: no tools are declared");
  tools.choice = choice == "required" ? ToolChoice::kRequired : ToolChoice::kNamed;
  const bool declared = std::find(tools.names.begin(), tools.names.end(), tools.named) != tools.names.end();
  if (tools.choice == ToolChoice::kNamed && !declared) {
    return BadField("tool_choice",
                    fmt::format("tool_choice: the tool \"{}\" is not declared", tools.named.substr(0, 100)));
  }
  return {};
}

}  // namespace

ToolCallOptions ToolRequest::Options(std::optional<ToolSyntax> syntax) const {
  return {.syntax = syntax.value_or(ToolSyntax::kPlainJson),
          .choice = choice,
          .name = named,
          .parallel = parallel};
}

std::vector<ToolDeclaration> ToolRequest::Declarations() const {
  std::vector<ToolDeclaration> declarations;
  for (size_t i = 0; i < names.size(); ++i) {
    const Json& function = (*list)[i]["function"];
    const auto parameters = function.find("parameters");
    declarations.push_back({names[i], parameters == function.end() ? nullptr : &*parameters});
  }
  return declarations;
}

std::string ToolRequest::Key() const {
  return fmt::format("{} {} {} {}", static_cast<int>(choice), parallel, Json(named).dump(),
                     list ? list->dump(-1, ' ', false, Json::error_handler_t::replace) : "");
}

ApiResult<ToolRequest> ReadTools(RequestFields& fields) {
  ToolRequest tools;
  HONE_TRY(const Json* list, fields.Array("tools"));
  HONE_TRY(const auto parallel, fields.Bool("parallel_tool_calls"));
  const Json* choice = fields.Find("tool_choice");
  tools.parallel = parallel.value_or(true);
  if (list != nullptr) {
    HONE_TRY(tools.names, ReadNames(*list));
    tools.list = std::make_shared<const Json>(*list);
  }
  if (!tools.names.empty()) tools.choice = ToolChoice::kAuto;
  if (choice != nullptr) HONE_CHECK_OK(ReadChoice(*choice, tools));
  return tools;
}

void DescribeTools(const ToolRequest& tools, Json& messages) {
  std::string text = "You can call functions. These are declared:\n";
  for (const Json& tool : *tools.list) {
    text += tool["function"].dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  text += "To call one, answer with nothing but {\"name\": NAME, \"arguments\": {..}}";
  text += tools.parallel ? "; to call several, with a JSON list of these." : ".";
  if (!messages.is_array()) return;  // refused later
  const bool has_system = !messages.empty() && messages[0].is_object() &&
                          messages[0].value("role", Json()) == "system" &&
                          messages[0].value("content", Json()).is_string();
  if (has_system) {
    messages[0]["content"] = messages[0]["content"].get<std::string>() + "\n\n" + text;
  } else {
    messages.insert(messages.begin(), Json{{"role", "system"}, {"content", text}});
  }
}

}  // namespace hone
