// What the tests of this folder share: a clock, a rendering in one call, the golden files.
#pragma once

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "core/formats/template/chat_template.h"

namespace hone {

using Json = nlohmann::ordered_json;

// 2026-11-24 12:00:00, the clock of the golden renderings.
inline std::tm GoldenClock() {
  std::tm clock{};
  clock.tm_year = 2026 - 1900;
  clock.tm_mon = 10;
  clock.tm_mday = 24;
  clock.tm_hour = 12;
  clock.tm_wday = 2;
  clock.tm_yday = 327;
  return clock;
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline Result<RenderedChat> RenderSource(std::string_view source, const Json& variables = Json::object(),
                                         const RenderLimits& limits = {}) {
  HONE_TRY(const ChatTemplate parsed, ChatTemplate::Parse(source));
  return parsed.Render(variables, GoldenClock(), limits);
}

// The rendering, or the error's message in angle brackets.
inline std::string RenderText(std::string_view source, const Json& variables = Json::object()) {
  const auto rendered = RenderSource(source, variables);
  return rendered ? rendered->text : "<" + rendered.error().message + ">";
}

// The variables of a golden conversation.
inline Json VariablesOf(const Json& conversation, bool add_generation_prompt) {
  Json variables = conversation.value("variables", Json::object());
  variables["messages"] = conversation["messages"];
  variables["tools"] = conversation.contains("tools") ? conversation["tools"] : Json();
  variables["add_generation_prompt"] = add_generation_prompt;
  variables["bos_token"] = "<s>";
  variables["eos_token"] = "</s>";
  return variables;
}

}  // namespace hone
