#include <chrono>

#include "constraint_fixture.h"

namespace hone {
namespace {

using testing::Reader;

std::string ErrorOf(std::string_view schema) {
  const auto constraint = CompileJsonSchema(schema);
  return constraint ? "" : constraint.error().message;
}

bool Accepts(std::string_view schema, std::string_view text) {
  return Reader(CompileJsonSchema(schema)).Accepts(text);
}

TEST(JsonSchema, AcceptsAnyValueWhereNothingIsSaid) {
  for (const char* text :
       {R"({"a": [1, -2.5e+3, true, null, "x\n\u00e9\ud83d\ude00"]})", "[]", "{}", "0", "\"ä\""}) {
    EXPECT_TRUE(Accepts("{}", text)) << text;
    EXPECT_TRUE(Accepts("true", text)) << text;
  }
  for (const char* text :
       {"{\"a\":}", "01", "\"\\x\"", "\"\\ud83d\"", "[1,]", "nul", "\"\x01\"", "\"\xff\""}) {
    EXPECT_FALSE(Accepts("{}", text)) << text;
  }
}

TEST(JsonSchema, WritesKeysInTheSchemasOrder) {
  constexpr auto kSchema =
      R"({"type": "object", "properties": {"zebra": {"type": "integer"}, "apple": {"type":
    "string"}, "mango": {"type": "boolean"}}, "required": ["mango", "zebra"], "additionalProperties": false})";
  EXPECT_TRUE(Accepts(kSchema, R"({"zebra": 1, "apple": "x", "mango": true})"));
  EXPECT_TRUE(Accepts(kSchema, R"({"zebra":1,"mango":true})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"apple": "x", "zebra": 1, "mango": true})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"zebra": 1})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"zebra": 1, "mango": true, "other": 1})"));
}

TEST(JsonSchema, AllowsFurtherKeysThatAreNotDeclared) {
  constexpr auto kSchema = R"({"type": "object", "properties": {"name": {"type": "string"}, "names": {}},
    "required": ["name"], "additionalProperties": {"type": "integer"}})";
  EXPECT_TRUE(Accepts(kSchema, R"({"name": "x", "age": 3, "nam": 4, "named": 5})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"name": "x", "age": "3"})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"name": "x", "name": 3})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"name": "x", "\u006eame": 3})"));
}

TEST(JsonSchema, FollowsReferencesAlsoInCircles) {
  constexpr auto kTree =
      R"({"$defs": {"node": {"type": "object", "properties": {"value": {"$ref": "#/$defs/number"},
    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["value"],
    "additionalProperties": false}, "number": {"enum": [1, 2]}}, "$ref": "#/$defs/node"})";
  EXPECT_TRUE(Accepts(kTree, R"({"value": 1, "children": [{"value": 2}, {"value": 1, "children": []}]})"));
  EXPECT_FALSE(Accepts(kTree, R"({"value": 1, "children": [{"value": 3}]})"));
  EXPECT_TRUE(
      Accepts(R"({"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}}]})", "[null,[[]]]"));
  EXPECT_NE(ErrorOf(R"({"$ref": "#"})").find("refers to itself"), std::string::npos);
  EXPECT_NE(ErrorOf(R"({"$ref": "#/$defs/none"})").find("#/$ref: \"#/$defs/none\" leads nowhere"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"({"$ref": "http://example.org/x"})").find("inside this document"), std::string::npos);
}

TEST(JsonSchema, EnforcesPropertiesBesideAnyOfAndAllOf) {
  constexpr auto kSchema =
      R"({"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"],
    "anyOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]},
              {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}],
    "allOf": [{"properties": {"c": {"type": "null"}}, "required": ["c"]}], "unevaluatedProperties": false})";
  EXPECT_TRUE(Accepts(kSchema, R"({"kind": "x", "c": null, "a": 1})"));
  EXPECT_TRUE(Accepts(kSchema, R"({"kind": "x", "c": null, "b": true})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"kind": "x", "c": null})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"kind": "x", "a": 1})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"c": null, "a": 1})"));
  EXPECT_TRUE(Accepts(R"({"allOf": [{"minimum": 3}, {"maximum": 5}], "type": "integer"})", "4"));
  EXPECT_FALSE(Accepts(R"({"allOf": [{"minimum": 3}, {"maximum": 5}], "type": "integer"})", "6"));
}

TEST(JsonSchema, ConstAndEnumTakeAnyValue) {
  EXPECT_TRUE(Accepts(R"({"const": {"a": [1, null], "b": "x"}})", R"({"a": [1, null], "b": "x"})"));
  EXPECT_TRUE(Accepts(R"({"const": null})", "null"));
  EXPECT_TRUE(Accepts(R"({"const": 1.5})", "1.5"));
  constexpr auto kEnum = R"({"enum": ["a\"b", 12, null, {"x": 1}, [], true]})";
  for (const char* text : {R"("a\"b")", "12", "null", R"({"x":1})", "[]", "true"})
    EXPECT_TRUE(Accepts(kEnum, text));
  EXPECT_FALSE(Accepts(kEnum, "1"));
  EXPECT_FALSE(Accepts(kEnum, "false"));
  EXPECT_FALSE(Accepts(R"({"enum": ["a", "bbb"], "maxLength": 2})", "\"bbb\""));
  EXPECT_TRUE(Accepts(R"({"enum": ["a", "bbb", 3], "type": "integer"})", "3"));
}

TEST(JsonSchema, BoundsNumbersExactly) {
  for (const auto& [low, high] :
       std::vector<std::pair<int, int>>{{0, 0}, {-3, 12}, {7, 1234}, {-120, -7}, {99, 101}}) {
    const std::string schema =
        fmt::format(R"({{"type": "integer", "minimum": {}, "maximum": {}}})", low, high);
    const Reader reader(CompileJsonSchema(schema));
    for (int i = -1500; i <= 1500; ++i) {
      EXPECT_EQ(reader.Accepts(std::to_string(i)), i >= low && i <= high) << schema << " " << i;
    }
    EXPECT_FALSE(reader.Accepts("-0"));
    EXPECT_FALSE(reader.Accepts("007"));
  }
  constexpr auto kFraction = R"({"type": "number", "exclusiveMinimum": 0.25, "maximum": 1.5})";
  const Reader reader(CompileJsonSchema(kFraction));
  for (const char* text : {"0.250001", "0.26", "0.3", "1", "1.0", "1.5", "1.500", "1.49999", "0.9"}) {
    EXPECT_TRUE(reader.Accepts(text)) << text;
  }
  for (const char* text : {"0.25", "0.2500", "0.2", "0", "1.51", "1.5001", "2", "-1", "15e-1", "1."}) {
    EXPECT_FALSE(reader.Accepts(text)) << text;
  }
  EXPECT_TRUE(Accepts(R"({"type": "integer", "minimum": 1, "exclusiveMaximum": 18446744073709551615})",
                      "18446744073709551614"));
  EXPECT_FALSE(Accepts(R"({"type": "integer", "minimum": 1, "exclusiveMaximum": 18446744073709551615})",
                       "18446744073709551615"));
  const Reader sevens(CompileJsonSchema(R"({"type": "integer", "multipleOf": 7})"));
  for (int i = -300; i <= 300; ++i) EXPECT_EQ(sevens.Accepts(std::to_string(i)), i % 7 == 0) << i;
}

TEST(JsonSchema, PatternsContainUnlessAnchored) {
  EXPECT_TRUE(Accepts(R"({"type": "string", "pattern": "\\d{2}"})", R"("ab12cd")"));
  EXPECT_FALSE(Accepts(R"({"type": "string", "pattern": "^\\d{2}"})", R"("ab12cd")"));
  EXPECT_TRUE(Accepts(R"({"type": "string", "pattern": "^\\d{2}"})", R"("12cd")"));
  EXPECT_FALSE(Accepts(R"({"type": "string", "pattern": "^\\d{2}$"})", R"("12cd")"));
  EXPECT_TRUE(Accepts(R"({"type": "string", "pattern": "^\\w+\\s\\/\\-$"})", R"("ab_1 /-")"));
  EXPECT_TRUE(Accepts(R"({"type": "string", "pattern": "^a|b$"})", R"("xb")"));
  EXPECT_TRUE(Accepts(R"({"type": "string", "pattern": "^[\"\\n\\\\]+$"})", R"("\"\n\\")"));
  EXPECT_FALSE(Accepts(R"({"type": "string", "pattern": "^[^a]$"})", R"("a")"));
  EXPECT_TRUE(Accepts(R"({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3})", R"("abc")"));
  EXPECT_FALSE(Accepts(R"({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3})", R"("abcd")"));
  EXPECT_NE(ErrorOf(R"({"properties": {"a": {"type": "string", "pattern": "(?=x)y"}}})")
                .find("JSON schema: #/properties/a/pattern"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"({"properties": {"a": {"type": "string", "pattern": "(?=x)y"}}})").find("lookahead"),
            std::string::npos);
}

TEST(JsonSchema, ExpressionsAndLengthsHoldTogether) {
  constexpr auto kSchema = R"({"type": "string", "pattern": "a+b", "minLength": 4, "maxLength": 6})";
  for (const char* text : {"\"xaab\"", "\"aaab\"", "\"abcdef\"", "\"\\\"xab\\n\""})
    EXPECT_TRUE(Accepts(kSchema, text)) << text;
  for (const char* text : {"\"aab\"", "\"abcdefg\"", "\"aaaa\"", "\"xaxbxb\""})
    EXPECT_FALSE(Accepts(kSchema, text)) << text;
  constexpr auto kBoth =
      R"({"allOf": [{"pattern": "^[a-f]+$"}, {"pattern": "(ab)+$"}, {"pattern": "^.c"}], "type": "string"})";
  EXPECT_TRUE(Accepts(kBoth, "\"acab\""));
  EXPECT_FALSE(Accepts(kBoth, "\"acabg\""));
  EXPECT_FALSE(Accepts(kBoth, "\"abab\""));
  EXPECT_FALSE(Accepts(R"({"type": "string", "format": "date", "pattern": "^2026"})", "\"2025-01-01\""));
  EXPECT_TRUE(Accepts(R"({"type": "string", "format": "date", "pattern": "^2026"})", "\"2026-01-01\""));
}

TEST(JsonSchema, KnowsFormats) {
  const auto format = [](std::string_view name) {
    return fmt::format(R"({{"type": "string", "format": "{}"}})", name);
  };
  EXPECT_TRUE(Accepts(format("date"), R"("2024-02-29")"));
  EXPECT_FALSE(Accepts(format("date"), R"("2023-02-29")"));
  EXPECT_TRUE(Accepts(format("date"), R"("2000-02-29")"));
  EXPECT_FALSE(Accepts(format("date"), R"("1900-02-29")"));
  EXPECT_TRUE(Accepts(format("date-time"), R"("2026-11-25T09:01:39.5+01:00")"));
  EXPECT_TRUE(Accepts(format("time"), R"("23:59:59Z")"));
  EXPECT_FALSE(Accepts(format("time"), R"("24:00:00Z")"));
  EXPECT_TRUE(Accepts(format("uuid"), R"("123e4567-e89b-12d3-a456-426614174000")"));
  EXPECT_TRUE(Accepts(format("email"), R"("joe.bloggs@example.com")"));
  EXPECT_FALSE(Accepts(format("email"), R"("joe.bloggs")"));
  EXPECT_TRUE(Accepts(format("ipv4"), R"("192.168.0.255")"));
  EXPECT_FALSE(Accepts(format("ipv4"), R"("192.168.0.256")"));
  EXPECT_TRUE(Accepts(format("ipv6"), R"("2001:db8::1")"));
  EXPECT_TRUE(Accepts(format("ipv6"), R"("::")"));
  EXPECT_FALSE(Accepts(format("ipv6"), R"("1:2:3:4:5:6:7:8:9")"));
  EXPECT_TRUE(Accepts(format("uri"), R"("https://example.org:8080/a/b%20c?q=1#top")"));
  EXPECT_TRUE(Accepts(format("duration"), R"("P1Y2M3DT4H5M6S")"));
  EXPECT_NE(ErrorOf(format("color")).find("#/format: the format \"color\" is not known"), std::string::npos);
}

TEST(JsonSchema, CountsArraysAndStrings) {
  constexpr auto kArray =
      R"({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": {"const": 3},
    "minItems": 1, "maxItems": 4})";
  EXPECT_FALSE(Accepts(kArray, "[]"));
  EXPECT_TRUE(Accepts(kArray, "[1]"));
  EXPECT_TRUE(Accepts(kArray, "[1,2,3,3]"));
  EXPECT_FALSE(Accepts(kArray, "[1,2,3,3,3]"));
  EXPECT_FALSE(Accepts(kArray, "[1,3]"));
  EXPECT_TRUE(Accepts(R"({"type": "string", "minLength": 2, "maxLength": 3})", "\"ä😀\\u00e9\""));
  EXPECT_FALSE(Accepts(R"({"type": "string", "minLength": 2, "maxLength": 3})", "\"a\""));
  EXPECT_FALSE(Accepts(R"({"type": "string", "minLength": 2, "maxLength": 3})", "\"abcd\""));
  EXPECT_TRUE(Accepts(R"({"type": "array", "items": [{"const": 1}], "additionalItems": false})", "[1]"));
  EXPECT_FALSE(Accepts(R"({"type": "array", "items": [{"const": 1}], "additionalItems": false})", "[1,1]"));
}

TEST(JsonSchema, LargeCountsCompileInMilliseconds) {
  const auto start = std::chrono::steady_clock::now();
  const auto constraint = CompileJsonSchema(R"({"type": "object", "properties": {"text": {"type": "string",
    "maxLength": 100000}, "list": {"type": "array", "items": {"type": "string", "minLength": 1000}, "maxItems": 1000}},
    "required": ["text", "list"]})");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ASSERT_TRUE(constraint) << constraint.error().message;
  EXPECT_LT(constraint->grammar->cells().size(), 2000u);
  EXPECT_LT(seconds, 0.1);
}

TEST(JsonSchema, BoundsWhiteSpaceAndWritesNoneBehindTheValue) {
  constexpr auto kSchema = R"({"type": "object", "properties": {"a": {"type": "array"}}})";
  EXPECT_TRUE(Accepts(kSchema, "{\n  \"a\": [\n    1,\n    2\n  ]\n}"));
  EXPECT_TRUE(Accepts(kSchema, "{\"a\":[1,2]}"));
  const Reader reader(CompileJsonSchema(kSchema));
  EXPECT_FALSE(reader.MayBegin("{\n\n"));
  EXPECT_FALSE(reader.MayBegin("{  "));
  EXPECT_FALSE(reader.MayBegin("{\"a\":[1]}\n"));
  EXPECT_FALSE(reader.MayBegin("{\"a\":[1]} "));
  EXPECT_FALSE(reader.MayBegin(" {"));
  EXPECT_FALSE(reader.MayBegin("{\n" + std::string(65, ' ')));
}

TEST(JsonSchema, RefusesWhatItCannotEnforceByPathAndKeyword) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"({"properties": {"a/b": {"not": {}}}})", "#/properties/a~1b/not: this keyword cannot be enforced"},
      {R"({"items": {"if": {}}})", "#/items/if"},
      {R"({"type": "array", "uniqueItems": true})", "#/uniqueItems"},
      {R"({"type": "array", "contains": {}})", "#/contains"},
      {R"({"propertes": {}})", "#/propertes: this keyword is not known"},
      {R"({"type": "strin"})", "#/type: found \"strin\""},
      {R"({"type": 3})", "#/type: found number"},
      {R"({"minLength": -1})", "#/minLength: found -1, expected a count"},
      {R"({"required": true})", "#/required"},
      {R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})",
       "#/oneOf: a value might satisfy branches 0 and 1"},
      {R"({"type": "number", "multipleOf": 0.01})", "#/multipleOf"},
      {R"({"type": "string", "pattern": "a{9000}b{9000}c{9000}", "maxLength": 30000})",
       "#/pattern: regular expression: size"},
      {R"([])", "expected a schema"},
      {R"({"type": "object")", "not valid JSON"},
      {R"({"type": "integer", "minimum": 5, "maximum": 4})", "no text satisfies it"},
      {R"({"type": "object", "required": ["a"], "properties": {"a": false}})", "no text satisfies it"},
  };
  for (const auto& [schema, part] : cases) {
    EXPECT_NE(ErrorOf(schema).find(part), std::string::npos) << schema << "\n  " << ErrorOf(schema);
    EXPECT_EQ(ErrorOf(schema).find('\n'), std::string::npos);
  }
}

TEST(JsonSchema, TellsOneOfApartByTypeConstantAndForbiddenNames) {
  EXPECT_TRUE(Accepts(R"({"oneOf": [{"type": "integer"}, {"type": "string"}]})", "3"));
  constexpr auto kTagged = R"({"oneOf": [
    {"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}}, "required": ["kind", "x"]},
    {"type": "object", "properties": {"kind": {"const": "b"}, "y": {"type": "integer"}}, "required": ["kind", "y"]}]})";
  EXPECT_TRUE(Accepts(kTagged, R"({"kind": "b", "y": 1})"));
  EXPECT_FALSE(Accepts(kTagged, R"({"kind": "b", "x": 1})"));
  EXPECT_TRUE(Accepts(R"({"oneOf": [
    {"type": "object", "properties": {"x": {}}, "required": ["x"], "additionalProperties": false},
    {"type": "object", "properties": {"y": {}}, "required": ["y"], "additionalProperties": false}]})",
                      R"({"y": 1})"));
}

TEST(JsonSchema, BoundsTheNumberOfMembers) {
  constexpr auto kSchema =
      R"({"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "minProperties": 2,
    "maxProperties": 2, "additionalProperties": false})";
  EXPECT_TRUE(Accepts(kSchema, R"({"a": 1, "c": 1})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"a": 1})"));
  EXPECT_FALSE(Accepts(kSchema, R"({"a": 1, "b": 1, "c": 1})"));
  EXPECT_TRUE(Accepts(R"({"type": "object", "minProperties": 1})", R"({"q": 1})"));
  EXPECT_FALSE(Accepts(R"({"type": "object", "minProperties": 1})", "{}"));
  EXPECT_FALSE(Accepts(R"({"type": "object", "maxProperties": 1})", R"({"q": 1, "r": 2})"));
}

TEST(JsonSchema, MatchesNamesByPatternAndByPropertyNames) {
  constexpr auto kPattern = R"({"type": "object", "patternProperties": {"^x-[a-z]+$": {"type": "integer"}},
    "additionalProperties": false})";
  EXPECT_TRUE(Accepts(kPattern, R"({"x-a": 1, "x-bc": 2})"));
  EXPECT_FALSE(Accepts(kPattern, R"({"y-a": 1})"));
  EXPECT_FALSE(Accepts(kPattern, R"({"x-a": "1"})"));
  constexpr auto kNames = R"({"type": "object", "propertyNames": {"enum": ["u", "v"]}})";
  EXPECT_TRUE(Accepts(kNames, R"({"u": 1, "v": 2})"));
  EXPECT_FALSE(Accepts(kNames, R"({"w": 1})"));
}

TEST(JsonSchema, SurvivesDeepAndLongSchemas) {
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += R"({"items":)";
  deep += "{}" + std::string(5000, '}');
  EXPECT_NE(ErrorOf(deep).find("nested deeper than 256"), std::string::npos);
  std::string chain = R"({"$ref": "#/$defs/d0", "$defs": {)";
  for (int i = 0; i < 2'000; ++i) {
    chain += fmt::format(R"("d{}": {{"type": "array", "items": {{"$ref": "#/$defs/d{}"}}}}, )", i, i + 1);
  }
  chain += R"("d2000": {"type": "null"}}})";
  EXPECT_EQ(ErrorOf(chain), "");
  std::string references = R"({"$ref": "#/$defs/d0", "$defs": {)";
  for (int i = 0; i < 2'000; ++i)
    references += fmt::format(R"("d{}": {{"$ref": "#/$defs/d{}"}}, )", i, i + 1);
  references += R"("d2000": {"type": "null"}}})";
  EXPECT_NE(ErrorOf(references).find("nested deeper than 100"), std::string::npos);
}

}  // namespace
}  // namespace hone
