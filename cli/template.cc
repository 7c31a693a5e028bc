// hone template --file T.jinja --messages CONV.json: a chat template's rendering of a conversation.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command.h"
#include "cli/text_input.h"
#include "core/base/printable.h"
#include "core/formats/template/chat_template.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string file;
  std::string messages;
  std::string clock;
  std::string bos_token = "<s>";
  std::string eos_token = "</s>";
  bool no_generation_prompt = false;
};

Result<Json> ReadConversation(const std::string& path) {
  HONE_TRY(const std::string text, ReadText(path));
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    return BadInput(path, "JSON", "{}", Printable(error.what(), 200));
  }
}

// What the template sees. CONV.json is a list of messages, or an object with "messages" and, as it needs
// them, "tools", an object "variables", and any variable under its own name.
Result<Json> Variables(const Options& options) {
  HONE_TRY(const Json conversation, ReadConversation(options.messages));
  Json variables = {{"messages", Json::array()},
                    {"tools", nullptr},
                    {"add_generation_prompt", !options.no_generation_prompt},
                    {"bos_token", options.bos_token},
                    {"eos_token", options.eos_token}};
  if (conversation.is_array()) {
    variables["messages"] = conversation;
    return variables;
  }
  if (!conversation.is_object() || !conversation.contains("messages") ||
      !conversation["messages"].is_array()) {
    return BadInput(options.messages, "messages",
                    "found no list, expected a list of messages or {{\"messages\": [..]}}");
  }
  for (const auto& [name, value] : conversation.items()) {
    if (name != "variables") variables[name] = value;
  }
  if (conversation.contains("variables")) {
    if (!conversation["variables"].is_object()) {
      return BadInput(options.messages, "variables", "found a {}, expected an object",
                      conversation["variables"].type_name());
    }
    for (const auto& [name, value] : conversation["variables"].items()) variables[name] = value;
  }
  return variables;
}

// "2026-11-24T12:00:00"; empty: now.
Result<std::tm> Clock(const std::string& text) {
  std::tm clock{};
  if (text.empty()) {
    const std::time_t now = std::time(nullptr);
    localtime_r(&now, &clock);
    return clock;
  }
  const char* end = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &clock);
  if (end == nullptr || *end != 0) {
    return WrongUsage("template: --clock: found \"{}\", expected YYYY-MM-DDTHH:MM:SS", Printable(text));
  }
  clock.tm_isdst = -1;
  std::tm normal = clock;
  mktime(&normal);  // the weekday and the day of the year
  clock.tm_wday = normal.tm_wday;
  clock.tm_yday = normal.tm_yday;
  return clock;
}

tl::unexpected<Error> WithFile(const std::string& file, Error error) {
  return tl::unexpected(Error{error.kind, fmt::format("{}: {}", file, error.message)});
}

Result<void> Run(const Options& options) {
  HONE_TRY(const std::tm clock, Clock(options.clock));
  HONE_TRY(const std::string source, ReadText(options.file));
  const auto parsed = ChatTemplate::Parse(source);
  if (!parsed) return WithFile(options.file, parsed.error());
  HONE_TRY(const Json variables, Variables(options));
  const auto rendered = parsed->Render(variables, clock);
  if (!rendered) return WithFile(options.file, rendered.error());
  std::fwrite(rendered->text.data(), 1, rendered->text.size(), stdout);
  return {};
}

}  // namespace

Action AddTemplate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--file", options->file, "The template, a Jinja file")->required();
  app.add_option(
         "--messages", options->messages,
         "The conversation, JSON: a list of messages, or an object with messages, tools and variables")
      ->required();
  app.add_flag("--no-generation-prompt", options->no_generation_prompt,
               "Leave out the opening of the next answer");
  app.add_option("--clock", options->clock,
                 "What strftime_now sees, such as 2026-11-24T12:00:00 (default: now)");
  app.add_option("--bos-token", options->bos_token, "The variable bos_token")->capture_default_str();
  app.add_option("--eos-token", options->eos_token, "The variable eos_token")->capture_default_str();
  return [options] { return Run(*options); };
}

}  // namespace hone
