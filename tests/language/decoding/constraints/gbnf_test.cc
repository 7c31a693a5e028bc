#include "constraint_fixture.h"

namespace hone {
namespace {

using testing::Reader;

std::string ErrorOf(const Result<Constraint>& constraint) {
  return constraint ? "" : constraint.error().message;
}

TEST(Gbnf, ReadsRulesAsLlamaCppsUsersWriteThem) {
  const Reader reader(CompileGbnf(R"gbnf(# arithmetic
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
)gbnf"));
  EXPECT_TRUE(reader.Accepts("(a1+2) *3=x\n"));
  EXPECT_TRUE(reader.Accepts("a=1\nb=2\n"));
  EXPECT_FALSE(reader.Accepts("a==1\n"));
  EXPECT_FALSE(reader.MayBegin("a=="));
}

TEST(Gbnf, GoesOnOverLinesAfterTheArrowAndInGroups) {
  const Reader reader(
      CompileGbnf("root ::=\n  \"{\" (\n    \"a\" # comment\n    (\",\" \"a\")*\n  )? \"}\"\n"
                  "  | \"none\"\n  | rest\nrest ::= .\n"));
  EXPECT_TRUE(reader.Accepts("{a,a}"));
  EXPECT_TRUE(reader.Accepts("none"));
  EXPECT_TRUE(reader.Accepts("ß"));
  EXPECT_FALSE(reader.Accepts("{a,}"));
}

TEST(Gbnf, KnowsCountsEscapesAndNegatedClasses) {
  EXPECT_TRUE(Reader(CompileGbnf(R"gbnf(root ::= [^"\\\x7F\x00-\x1F]{2,3} "\u00e4\U0001F600\x41")gbnf"))
                  .Accepts("xyä😀A"));
  EXPECT_FALSE(Reader(CompileGbnf("root ::= \"a\"{3}")).Accepts("aa"));
  EXPECT_TRUE(Reader(CompileGbnf("root ::= \"a\"{3,}")).Accepts("aaaaa"));
  EXPECT_TRUE(Reader(CompileGbnf("root ::= \"a\"{,2}")).Accepts(""));
  EXPECT_FALSE(Reader(CompileGbnf("root ::= \"a\"{,2}")).Accepts("aaa"));
}

TEST(Gbnf, HandlesLeftRecursionAndAmbiguity) {
  const Reader left(CompileGbnf("root ::= root \"+\" root | [0-9]"));
  EXPECT_TRUE(left.Accepts("1+2+3+4+5"));
  EXPECT_FALSE(left.Accepts("1+"));
  const Reader hidden(CompileGbnf("root ::= empty root \"a\" | \"b\"\nempty ::= \"\" | \" \""));
  EXPECT_TRUE(hidden.Accepts("baaa"));
  EXPECT_TRUE(hidden.Accepts("  baaa"));
  EXPECT_FALSE(hidden.Accepts("  ba"));
  const Reader cyclic(CompileGbnf("root ::= root | other\nother ::= root | \"x\""));
  EXPECT_TRUE(cyclic.Accepts("x"));
  EXPECT_FALSE(cyclic.MayBegin("xx"));
}

TEST(Gbnf, ListsByRightRecursionStayInFewStates) {
  const Reader reader(CompileGbnf("root ::= item\nitem ::= [a-z] (item)? ws\nws ::= (\" \" ws)?"));
  const Reader list(
      CompileGbnf("root ::= \"[\" items \"]\"\nitems ::= [a-z] more\nmore ::= \",\" items | \"\""));
  std::string text = "[a";
  for (int i = 0; i < 10'000; ++i) text += ",b";
  EXPECT_TRUE(list.Accepts(text + "]"));
  EXPECT_LT(list.recognizer().states(), 30u);
  EXPECT_TRUE(reader.Accepts("abc   "));
}

TEST(Gbnf, NamesLineAndColumnOfWhatIsWrong) {
  EXPECT_NE(ErrorOf(CompileGbnf("root ::= \"a\" missing\n"))
                .find("grammar: line 1, column 14: found the name \"missing\""),
            std::string::npos)
      << ErrorOf(CompileGbnf("root ::= \"a\" missing\n"));
  EXPECT_NE(ErrorOf(CompileGbnf("root ::= a\na ::= \"x")).find("line 2, column 7"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileGbnf("a ::= \"x\"")).find("root"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileGbnf("root ::= *")).find("something to repeat"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileGbnf("root ::= \"a\"\nroot ::= \"b\"")).find("twice"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileGbnf("root ::= root \"a\"")).find("no text satisfies"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileGbnf("root ::= (\"a\"")).find("without its )"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileGbnf("root ::= [z-a]")).find("backwards"), std::string::npos);
  EXPECT_NE(ErrorOf(CompileGbnf("root ::= \"a\"{3,2}")).find("smaller count first"), std::string::npos);
}

TEST(Gbnf, RefusesTensOfThousandsOfParentheses) {
  const std::string deep = "root ::= " + std::string(50'000, '(') + "\"a\"" + std::string(50'000, ')');
  EXPECT_NE(ErrorOf(CompileGbnf(deep)).find("nested deeper"), std::string::npos);
}

}  // namespace
}  // namespace hone
