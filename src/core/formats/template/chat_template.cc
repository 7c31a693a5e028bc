#include "core/formats/template/chat_template.h"

#include <algorithm>
#include <new>
#include <nlohmann/json.hpp>

#include "core/formats/template/evaluator.h"
#include "core/formats/template/failure.h"
#include "core/formats/template/globals.h"
#include "core/formats/template/lexer.h"
#include "core/formats/template/parser.h"

namespace hone {

using chat::Value;

struct ChatTemplate::Program {
  chat::SyntaxTree tree;
};

namespace {

// Messages quote the template: control characters become spaces, and a long text is cut.
std::string OneLine(std::string_view message) {
  size_t size = std::min<size_t>(message.size(), 500);
  while (size > 0 && size < message.size() && (static_cast<unsigned char>(message[size]) & 0xC0) == 0x80)
    --size;
  std::string line(message.substr(0, size));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  if (size < message.size()) line += "...";
  return line;
}

tl::unexpected<Error> ErrorOf(const chat::TemplateFailure& failure) {
  if (failure.refusal) return tl::unexpected(Error{ErrorKind::kBadInput, failure.message});
  const std::string message = OneLine(failure.message);
  if (failure.line == 0)
    return tl::unexpected(Error{ErrorKind::kBadInput, fmt::format("chat template: {}", message)});
  return BadInput("chat template", fmt::format("line {}", failure.line), "{}", message);
}

// Where a value stands among the variables.
enum class Place { kOther, kMessages, kMessage, kRole };

Place PlaceOfMember(Place place, std::string_view key) {
  return place == Place::kMessage && key == "role" ? Place::kRole : Place::kOther;
}

// Templates build control tokens around the role ('<|' + message['role'] + '|>'), so these names, and no
// others, count as the template's own text.
bool IsKnownRole(std::string_view role) {
  return role == "system" || role == "user" || role == "assistant" || role == "tool" || role == "developer";
}

// A value of the template language; its text counts as the variables' where `tainted` says so.
Value FromJson(const nlohmann::ordered_json& json, bool tainted, int depth, Place place = Place::kOther) {
  if (depth >= chat::kMaximumNesting) chat::Fail("variables nested deeper than {}", chat::kMaximumNesting);
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::boolean:
      return Value::Bool(json.get<bool>(), tainted);
    case nlohmann::ordered_json::value_t::number_integer:
      return Value::Integer(json.get<int64_t>(), tainted);
    case nlohmann::ordered_json::value_t::number_unsigned: {
      const auto value = json.get<uint64_t>();
      if (value > static_cast<uint64_t>(INT64_MAX)) return Value::LargeInteger(value, tainted);
      return Value::Integer(static_cast<int64_t>(value), tainted);
    }
    case nlohmann::ordered_json::value_t::number_float:
      return Value::Float(json.get<double>(), tainted);
    case nlohmann::ordered_json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      return Value::String(text, tainted && !(place == Place::kRole && IsKnownRole(text)));
    }
    case nlohmann::ordered_json::value_t::array: {
      chat::Values items;
      items.reserve(json.size());
      const Place inside = place == Place::kMessages ? Place::kMessage : Place::kOther;
      for (const auto& item : json) items.push_back(FromJson(item, tainted, depth + 1, inside));
      return Value::List(std::move(items), tainted);
    }
    case nlohmann::ordered_json::value_t::object: {
      auto dict = std::make_shared<chat::DictObject>();
      dict->entries.reserve(json.size());
      for (const auto& [key, item] : json.items()) {
        dict->Set(Value::String(key, tainted), FromJson(item, tainted, depth + 1, PlaceOfMember(place, key)));
      }
      return Value::Of(chat::Kind::kDict, std::move(dict), tainted);
    }
    default:
      return Value::None(tainted);
  }
}

bool IsTemplatesOwn(std::string_view name) { return name == "bos_token" || name == "eos_token"; }

}  // namespace

Result<ChatTemplate> ChatTemplate::Parse(std::string_view source) {
  try {
    auto program = std::make_shared<Program>();
    program->tree = chat::Parser(chat::Tokenize(source)).ParseTemplate();
    for (const std::string& name : program->tree.names)
      program->tree.globals.push_back(chat::FindGlobal(name));
    ChatTemplate result;
    result.program_ = std::move(program);
    return result;
  } catch (const chat::TemplateFailure& failure) {
    return ErrorOf(failure);
  } catch (const std::bad_alloc&) {
    return Failed("chat template: out of memory");
  }
}

Result<RenderedChat> ChatTemplate::Render(const nlohmann::ordered_json& variables, const std::tm& clock,
                                          const RenderLimits& limits) const {
  if (!variables.is_object())
    return BadInput("chat template", "variables", "found {}, expected an object", variables.type_name());
  try {
    const chat::SyntaxTree& tree = program_->tree;
    chat::Evaluator evaluator(tree, limits, clock);
    for (size_t id = 0; id < tree.names.size(); ++id) {
      const auto it = variables.find(tree.names[id]);
      if (it == variables.end()) continue;
      const Place place = tree.names[id] == "messages" ? Place::kMessages : Place::kOther;
      evaluator.Define(static_cast<int>(id), FromJson(*it, !IsTemplatesOwn(tree.names[id]), 0, place));
    }
    const chat::Text text = evaluator.Run();
    RenderedChat rendered;
    rendered.text = std::string(text.bytes());
    for (const chat::Run& run : text.runs()) rendered.from_variables.push_back({run.begin, run.end});
    return rendered;
  } catch (const chat::TemplateFailure& failure) {
    return ErrorOf(failure);
  } catch (const std::bad_alloc&) {
    return Failed("chat template: out of memory");
  } catch (const nlohmann::json::exception& error) {
    return Failed("chat template: {}", error.what());
  }
}

}  // namespace hone
