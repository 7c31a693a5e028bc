#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <regex>

#include "constraint_fixture.h"

namespace hone {
namespace {

using testing::Reader;

std::string ErrorOf(const Result<Constraint>& constraint) {
  return constraint ? "" : constraint.error().message;
}

TEST(RegexConstraint, AcceptsWhatMatchesAsAWhole) {
  const Reader reader(CompileRegex(R"([a-z]+@[a-z]+\.(com|org))"));
  EXPECT_TRUE(reader.Accepts("me@example.org"));
  EXPECT_FALSE(reader.Accepts("me@example.net"));
  EXPECT_FALSE(reader.Accepts("me@example.or"));
  EXPECT_TRUE(reader.MayBegin("me@example.or"));
  EXPECT_FALSE(reader.MayBegin("me@@"));
}

TEST(RegexConstraint, KnowsClassesEscapesAndAnchors) {
  EXPECT_TRUE(Reader(CompileRegex(R"(^\d{3}-\w+\s\/\-$)")).Accepts("123-ab_9 /-"));
  EXPECT_TRUE(Reader(CompileRegex(R"([^\d\s]+)")).Accepts("äb"));
  EXPECT_FALSE(Reader(CompileRegex(R"([^\d\s]+)")).Accepts("a b"));
  EXPECT_TRUE(Reader(CompileRegex(R"([\w.-]+)")).Accepts("a.b-c"));
  EXPECT_TRUE(Reader(CompileRegex("(?:^a|b)$")).Accepts("a"));
  EXPECT_TRUE(Reader(CompileRegex("x{2}")).Accepts("xx"));
  EXPECT_TRUE(Reader(CompileRegex("{a}")).Accepts("{a}"));
  EXPECT_TRUE(Reader(CompileRegex(R"(\u00e9\x41\u{1F600})")).Accepts("éA😀"));
  EXPECT_FALSE(Reader(CompileRegex(".")).Accepts("\n"));
  EXPECT_TRUE(Reader(CompileRegex("(?<year>\\d{4})")).Accepts("2026"));
}

TEST(RegexConstraint, RefusesByName) {
  EXPECT_NE(ErrorOf(CompileRegex("a(?=b)")).find("lookahead"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileRegex("(?<!a)b")).find("lookbehind"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileRegex(R"((a)\1)")).find("back reference"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileRegex(R"(\bword)")).find("word boundary"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileRegex("*a")).find("something to repeat"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileRegex("a|+")).find("character 3"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileRegex("a$b")).find("anchor"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileRegex("[b-a]")).find("backwards"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileRegex("(a")).find("without its )"), std::string::npos);
}

TEST(RegexConstraint, RefusesTensOfThousandsOfParentheses) {
  const std::string deep = std::string(50'000, '(') + "a" + std::string(50'000, ')');
  EXPECT_NE(ErrorOf(CompileRegex(deep)).find("nested deeper"), std::string::npos);
}

TEST(RegexConstraint, CountsWithoutCopies) {
  const auto constraint = CompileRegex("a{100000}b{0,1000000}");
  ASSERT_TRUE(constraint);
  EXPECT_LT(constraint->grammar->cells().size(), 20u);
  const Reader reader(constraint);
  EXPECT_TRUE(reader.Accepts(std::string(100'000, 'a') + "bb"));
  EXPECT_FALSE(reader.Accepts(std::string(99'999, 'a')));
  EXPECT_FALSE(reader.MayBegin(std::string(100'001, 'a')));
}

// A random expression over a small alphabet.
rc::Gen<std::string> Expressions(int depth) {
  const auto leaf = rc::gen::element<std::string>("a", "b", "[ab]", "[^a]", ".", "ab", "");
  if (depth == 0) return leaf;
  return rc::gen::mapcat(rc::gen::inRange(0, 6), [depth](int kind) {
    const auto part = Expressions(depth - 1);
    switch (kind) {
      case 0:
        return rc::gen::map(rc::gen::pair(part, part), [](const auto& p) { return p.first + p.second; });
      case 1:
        return rc::gen::map(rc::gen::pair(part, part),
                            [](const auto& p) { return "(" + p.first + "|" + p.second + ")"; });
      case 2:
        return rc::gen::map(part, [](const auto& p) { return "(" + p + ")*"; });
      case 3:
        return rc::gen::map(part, [](const auto& p) { return "(" + p + "){1,3}"; });
      case 4:
        return rc::gen::map(part, [](const auto& p) { return "(" + p + ")?"; });
      default:
        return part;
    }
  });
}

RC_GTEST_PROP(RegexConstraint, AgreesWithTheStandardLibrary, ()) {
  const auto expression = *Expressions(3);
  const auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b', 'c'));
  RC_PRE(text.size() < 12);
  const std::regex oracle(expression.empty() ? "()" : expression);
  const Reader reader(CompileRegex(expression));
  RC_ASSERT(reader.Accepts(text) == std::regex_match(text, oracle));
}

}  // namespace
}  // namespace hone
