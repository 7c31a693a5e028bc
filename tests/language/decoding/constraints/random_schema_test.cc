// Whatever the grammar of a random schema lets through is a value of the schema.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "constraint_fixture.h"
#include "json_validator.h"

namespace hone {
namespace {

using testing::Json;
using testing::JsonValidator;
using testing::Reader;

// Draws a schema; kinds that nest end at depth 0.
class SchemaDraw {
 public:
  Json Schema(int depth) {
    Json schema = Kind(depth);
    if (depth > 0 && Chance(8)) return Json{{"anyOf", {std::move(schema), Schema(depth - 1)}}};
    if (depth > 0 && Chance(8))
      return Json{{"allOf", {std::move(schema), Json{{"maxLength", 6}, {"maxItems", 3}}}}};
    return schema;
  }

 private:
  static int Below(int count) { return *rc::gen::inRange(0, count); }
  static bool Chance(int of) { return Below(of) == 0; }

  Json Kind(int depth) {
    switch (Below(depth > 0 ? 10 : 6)) {
      case 0:
        return {{"type", Chance(2) ? "boolean" : "null"}};
      case 1:
        return Number("integer");
      case 2:
        return Number("number");
      case 3:
        return String();
      case 4:
        return {{"enum", Json::array({"a", "bé", 3, nullptr, false, Json::array({1, "x"}), "ab"})}};
      case 5:
        return {{"const", Chance(2) ? Json("c\"\\\n") : Json{{"k", 1.5}}}};
      case 6:
      case 7:
        return Object(depth);
      case 8:
        return Array(depth);
      default:
        return {{"$ref", "#/$defs/list"}};
    }
  }

  Json Number(const char* type) {
    Json schema = {{"type", type}};
    const int low = Below(2000) - 1000;
    if (Chance(2)) schema[Chance(2) ? "minimum" : "exclusiveMinimum"] = low;
    if (Chance(2)) schema[Chance(2) ? "maximum" : "exclusiveMaximum"] = low + 2 + Below(500);
    if (std::string(type) == "number" && Chance(3)) schema["minimum"] = low + 0.125 * Below(8);
    if (std::string(type) == "integer" && Chance(4)) {
      schema = {{"type", type}, {"multipleOf", 1 + Below(12)}};
      if (Chance(2)) schema["minimum"] = 0;
    }
    return schema;
  }

  Json String() {
    Json schema = {{"type", "string"}};
    if (Chance(3)) {
      schema["pattern"] =
          *rc::gen::element<std::string>("^[a-c]+$", "b\\d", "^\\w{2,4}", "x|^y$", "^(a|bc)*\\/-?$");
      if (Chance(2)) return schema;
    }
    const int least = Below(4);
    if (Chance(2)) schema["minLength"] = least;
    if (Chance(2)) schema["maxLength"] = least + Below(5);
    return schema;
  }

  Json Object(int depth) {
    Json schema = {{"type", "object"}};
    Json properties = Json::object(), required = Json::array();
    for (const char* name : {"zeta", "name", "a", "names", "b\"q"}) {
      if (Chance(2)) continue;
      properties[name] = Schema(depth - 1);
      if (Chance(2)) required.push_back(name);
    }
    const auto least = required.size();
    if (!properties.empty()) schema["properties"] = properties;
    if (!required.empty()) schema["required"] = std::move(required);
    if (Chance(2)) schema["additionalProperties"] = Chance(2) ? Json(false) : Schema(depth - 1);
    if (Chance(5)) schema["maxProperties"] = least + static_cast<size_t>(Below(3));
    if (Chance(5)) schema["minProperties"] = std::min(least + 1, properties.size());
    return schema;
  }

  Json Array(int depth) {
    Json schema = {{"type", "array"}};
    if (Chance(3)) schema["prefixItems"] = Json::array({Schema(depth - 1), Schema(0)});
    if (!Chance(3)) schema["items"] = Chance(5) ? Json(false) : Schema(depth - 1);
    const int least = Below(3);
    if (Chance(2)) schema["minItems"] = least;
    if (Chance(2)) schema["maxItems"] = least + Below(3);
    return schema;
  }
};

// A random sentence, or nothing where none has ended after some thousand bytes.
std::optional<std::string> Walk(Recognizer& recognizer, uint64_t random) {
  std::string text;
  Recognizer::State state = recognizer.start();
  for (int step = 0; step < 4000; ++step) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const ByteSet next = recognizer.NextBytes(state);
    if (recognizer.Accepts(state) && (next.empty() || (random >> 60) < 4)) return text;
    std::vector<uint8_t> bytes;
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (!next.Has(static_cast<uint8_t>(byte))) continue;
      const bool closes = byte == '"' || byte == '}' || byte == ']';
      bytes.insert(bytes.end(), closes ? (step < 60 ? 12 : 100) : 1, static_cast<uint8_t>(byte));
    }
    if (bytes.empty()) return std::nullopt;  // a dead end: there must be none
    const uint8_t byte = bytes[(random >> 20) % bytes.size()];
    text.push_back(static_cast<char>(byte));
    state = recognizer.Step(state, byte);
  }
  return text.empty() ? text : std::string("\x01");
}

RC_GTEST_PROP(RandomSchema, EverySentenceIsAValueOfTheSchema, ()) {
  Json schema = SchemaDraw().Schema(3);
  schema["$defs"] = {{"list",
                      {{"type", "array"},
                       {"items", {{"anyOf", {{{"$ref", "#/$defs/list"}}, {{"type", "integer"}}}}}},
                       {"maxItems", 2}}}};
  const auto constraint = CompileJsonSchema(schema);
  if (!constraint) {
    // Refused, as it may be: nothing satisfies it.
    const std::string& message = constraint.error().message;
    RC_ASSERT(message.find("no text satisfies") != message.npos ||
              message.find("minProperties") != message.npos);
    RC_DISCARD("refused");
  }
  const Reader reader(constraint);
  for (uint64_t walk = 0; walk < 6; ++walk) {
    const auto text = Walk(reader.recognizer(), *rc::gen::arbitrary<uint64_t>());
    RC_ASSERT(text.has_value());
    if (*text == "\x01") continue;
    const Json value = Json::parse(*text, nullptr, false);
    RC_ASSERT(!value.is_discarded());
    if (!JsonValidator(schema).Valid(value)) RC_FAIL(schema.dump() + "\n" + *text);
    // And the value in other words is a sentence too.
    if (value.dump().find('e') == std::string::npos || !value.is_number()) {
      for (const int indentation : {-1, 2}) {
        const std::string again = value.dump(indentation);
        if (again.find("e+") != again.npos || again.find("e-") != again.npos ||
            again.find(".0") != again.npos)
          continue;
        if (!reader.Accepts(again)) RC_FAIL(schema.dump() + "\nrefuses " + again);
      }
    }
  }
}

}  // namespace
}  // namespace hone
