// Any bytes as a chat template, and after a zero byte as its variables in JSON: parsed or refused in one
// line; what is rendered lies within its bounds, and its provenance within the text.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/formats/template/chat_template.h"

namespace {

using Json = nlohmann::ordered_json;

void Require(bool condition) {
  if (!condition) std::abort();
}

void RequireOneLine(const hone::Error& error) {
  // A refusal by raise_exception is in the template's own words.
  if (!error.message.starts_with("chat template")) return;
  Require(error.message.find('\n') == std::string::npos && error.message.size() < 1000);
}

// A conversation with a tool, for a template that brings no variables.
const Json& Conversation() {
  static const Json variables = Json::parse(R"({
    "messages": [{"role": "system", "content": "Be <brief>."},
                 {"role": "user", "content": [{"type": "text", "text": "Gr\u00fc\u00dfe \ud83c\udf89"}]},
                 {"role": "assistant", "content": null,
                  "tool_calls": [{"type": "function", "id": "a1",
                                  "function": {"name": "f", "arguments": {"x": 1, "y": [2.5, true]}}}]},
                 {"role": "tool", "content": "{\"z\": 18446744073709551615}", "name": "f"}],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})");
  return variables;
}

std::tm Clock() {
  std::tm clock{};
  clock.tm_year = 126;
  clock.tm_mon = 10;
  clock.tm_mday = 24;
  return clock;
}

void RequireWithin(const hone::RenderedChat& rendered, const hone::RenderLimits& limits) {
  Require(rendered.text.size() <= static_cast<size_t>(limits.output_bytes));
  size_t at = 0;
  for (const auto& span : rendered.from_variables) {
    Require(span.begin >= at && span.begin < span.end && span.end <= rendered.text.size());
    at = span.end;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const auto parsed = hone::ChatTemplate::Parse(input.substr(0, zero));
  if (!parsed) {
    RequireOneLine(parsed.error());
    return 0;
  }
  Json variables;
  if (zero != std::string_view::npos) {
    const std::string_view text = input.substr(zero + 1);
    variables = Json::parse(text.begin(), text.end(), nullptr, false);
  }
  hone::RenderLimits limits;
  limits.steps = 20'000;
  limits.output_bytes = 1 << 16;
  const auto rendered = parsed->Render(variables.is_object() ? variables : Conversation(), Clock(), limits);
  if (!rendered) {
    RequireOneLine(rendered.error());
  } else {
    RequireWithin(*rendered, limits);
  }
  return 0;
}
