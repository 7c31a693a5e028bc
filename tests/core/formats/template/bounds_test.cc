// Hostile templates end in a one-line error, in bounded time and memory.
#include <gtest/gtest.h>

#include "core/formats/template/rendering.h"

namespace hone {
namespace {

std::string Repeat(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

// Expects an error whose message holds `wanted`.
void ExpectError(const std::string& source, std::string_view wanted, const Json& variables = Json::object()) {
  const auto rendered = RenderSource(source, variables);
  ASSERT_FALSE(rendered.has_value()) << source.substr(0, 80);
  EXPECT_NE(rendered.error().message.find(wanted), std::string::npos) << rendered.error().message;
  EXPECT_EQ(rendered.error().message.find('\n'), std::string::npos);
}

TEST(ChatTemplateErrors, NameTheLine) {
  ExpectError("a\nb\n{{ x|foo }}", "chat template: line 3: unknown filter 'foo'");
  ExpectError("\n{{ x is foo }}", "chat template: line 2: unknown test 'foo'");
  ExpectError("\n\n{% foo %}", "chat template: line 3: unknown tag 'foo'");
  ExpectError("{% include 'x' %}", "chat template: line 1: 'include' is not supported");
  ExpectError("\n{{ x.y }}", "chat template: line 2: 'x' is undefined");
}

TEST(ChatTemplateErrors, KeepTheWordsOfRaiseException) {
  const auto rendered = RenderSource("\n{{ raise_exception('Only user and assistant roles!') }}");
  ASSERT_FALSE(rendered.has_value());
  EXPECT_EQ(rendered.error().message, "Only user and assistant roles!");
  EXPECT_EQ(rendered.error().kind, ErrorKind::kBadInput);
}

TEST(ChatTemplateBounds, RefuseDeepTemplates) {
  ExpectError("{{ " + Repeat("(", 100000) + "1" + Repeat(")", 100000) + " }}", "nested deeper");
  ExpectError("{{ " + Repeat("[", 100000) + Repeat("]", 100000) + " }}", "nested deeper");
  ExpectError("{{ " + Repeat("not ", 100000) + "1 }}", "nested deeper");
  ExpectError("{{ " + Repeat("-", 100000) + "1 }}", "nested deeper");
  ExpectError("{{ 1" + Repeat(" + 1", 100000) + " }}", "nested deeper");
  ExpectError("{{ x" + Repeat(".a", 100000) + " }}", "nested deeper");
  ExpectError("{{ x" + Repeat("|upper", 100000) + " }}", "nested deeper");
  ExpectError(Repeat("{% if 1 %}", 100000), "nested deeper");
  ExpectError(Repeat("{% for x in y %}", 100000), "nested deeper");
  ExpectError("{{ " + Repeat("{1:", 100000) + "1" + Repeat("}", 100000) + " }}", "nested deeper");
  ExpectError("{{ 1" + Repeat(" if 1 else 1", 100000) + " }}", "nested deeper");
  ExpectError("{{ f" + Repeat("(f", 100000) + Repeat(")", 100000) + " }}", "nested deeper");
}

TEST(ChatTemplateBounds, RefuseEndlessWork) {
  ExpectError("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested deeper");
  ExpectError("{% for x in [[]] recursive %}{{ loop([[]]) }}{% endfor %}", "nested deeper");
  ExpectError("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "steps");
  ExpectError("{{ range(1000000000) }}", "Range too big");
  ExpectError(
      "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      "limit");
  ExpectError("{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}",
              "deeper");
  ExpectError(
      "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
      "ns.x }}",
      "steps");
  ExpectError("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "nested");
}

TEST(ChatTemplateBounds, RefuseHugeTexts) {
  ExpectError("{{ 'x' * 1000000000 }}", "exceeds the limit");
  ExpectError("{{ [1] * 1000000000 }}", "");
  ExpectError("{{ 'x'.ljust(1000000000) }}", "exceeds the limit");
  ExpectError("{{ 'x'|center(1000000000) }}", "exceeds the limit");
  ExpectError("{{ 'x'.zfill(1000000000) }}", "exceeds the limit");
  ExpectError("{{ '%1000000000d' % 1 }}", "exceeds");
  ExpectError("{{ '{:1000000000}'.format(1) }}", "exceeds");
  ExpectError("{{ [1]|tojson(indent=1000000000) }}", "exceeds the limit");
  ExpectError("{{ 'a'|indent(1000000000) }}", "exceeds the limit");
  ExpectError("{{ [1]|batch(1000000000, 0)|list }}", "steps");
  ExpectError("{{ ('x' * 1000000).replace('', 'y' * 1000000) }}", "exceeds the limit");
  ExpectError("{{ 2 ** 64 }}", "does not fit 64 bits");
  ExpectError("{{ 9223372036854775807 + 1 }}", "does not fit 64 bits");
}

TEST(ChatTemplateBounds, RefuseDeepVariables) {
  Json deep = 1;
  for (int i = 0; i < 3000; ++i) deep = Json::array({std::move(deep)});
  ExpectError("{{ x }}", "nested deeper", {{"x", std::move(deep)}});
}

TEST(ChatTemplateBounds, CircularValuesLeaveNothingBehind) {
  EXPECT_EQ(RenderText(
                "{% set ns = namespace() %}{% macro m() %}{% endmacro %}{% set ns.a = [ns, m] %}"
                "{% for x in [1] %}{% if loop.changed(loop) %}y{% endif %}{% set ns.l = loop %}{% endfor %}"),
            "y");
}

}  // namespace
}  // namespace hone
