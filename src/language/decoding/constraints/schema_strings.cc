// The strings that a schema allows.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "language/decoding/constraints/character_automaton.h"
#include "language/decoding/constraints/json_schema.h"
#include "language/decoding/constraints/string_formats.h"

namespace hone {
namespace {

struct Matcher {
  RegexNode regex;
  RegexMatch match = RegexMatch::kContains;
};

Result<Matcher> MatcherOf(const Facts::Expression& expression) {
  std::string text = expression.text;
  if (expression.whole) {
    const auto format = FormatExpression(text);
    if (!format) {
      return BadSchema(expression.schema, "format", "the format \"{}\" is not known and cannot be enforced",
                       text.substr(0, 40));
    }
    text = *format;
  }
  auto regex = ParseRegex(text);
  if (!regex) return BadSchema(expression.schema, expression.keyword, "{}", regex.error().message);
  return Matcher{*std::move(regex), expression.whole ? RegexMatch::kWhole : RegexMatch::kContains};
}

// ^X{a,b}$ where X is one character: then bounds on the length are bounds on the count.
RegexNode* CountedCharacters(RegexNode& regex) {
  if (regex.kind != RegexNode::Kind::kSequence || regex.children.size() != 3) return nullptr;
  RegexNode& body = regex.children[1];
  const bool whole =
      regex.children[0].kind == RegexNode::Kind::kStart && regex.children[2].kind == RegexNode::Kind::kEnd;
  if (!whole || body.kind != RegexNode::Kind::kRepeat) return nullptr;
  return body.children[0].kind == RegexNode::Kind::kCharacters ? &body : nullptr;
}

// Whether the expression says nothing of what may stand before or behind its match.
bool IsAnchored(const RegexNode& regex) {
  return regex.kind == RegexNode::Kind::kSequence && regex.children.size() >= 2 &&
         regex.children.front().kind == RegexNode::Kind::kStart &&
         regex.children.back().kind == RegexNode::Kind::kEnd;
}

// Characters that a matching string has.
LengthRange LengthOf(const Matcher& matcher) {
  LengthRange length = RegexLength(matcher.regex);
  if (matcher.match == RegexMatch::kContains && !IsAnchored(matcher.regex)) length.max = kUnbounded;
  return length;
}

// What all the expressions and the bounds on the length allow together.
Result<CharacterAutomaton> Product(const std::vector<Matcher>& matchers, const Facts& facts) {
  // The length first: whether it is too large is told at once.
  HONE_TRY(CharacterAutomaton product, CharacterAutomaton::OfLength(facts.min_length, facts.max_length));
  for (const Matcher& matcher : matchers) {
    HONE_TRY(const CharacterAutomaton next, CharacterAutomaton::Of(matcher.regex, matcher.match));
    HONE_TRY(product, product.Intersect(next));
  }
  return product;
}

}  // namespace

Result<Symbol> SchemaCompiler::String(const Facts& facts) {
  HONE_TRY(const Symbol content, StringContent(facts));
  return json_.String(content);
}

Result<Symbol> SchemaCompiler::StringContent(const Facts& facts) {
  if (facts.min_length > facts.max_length) return builder_.Nothing();
  if (facts.expressions.empty()) {
    return builder_.Repeat(json_.Character(CodePointSet::All()), facts.min_length, facts.max_length);
  }
  const CharacterSpelling spelling = [&](const CodePointSet& set) { return json_.Character(set); };
  std::vector<Matcher> matchers;
  Symbol content = builder_.Empty();
  for (const Facts::Expression& expression : facts.expressions) {
    HONE_TRY(Matcher matcher, MatcherOf(expression));
    RegexNode* counted = facts.expressions.size() == 1 ? CountedCharacters(matcher.regex) : nullptr;
    if (counted) {
      counted->min = std::max(counted->min, facts.min_length);
      counted->max = std::min(counted->max, facts.max_length);
      if (counted->min > counted->max) return builder_.Nothing();
    }
    const auto symbol = RegexToGrammar(builder_, matcher.regex, matcher.match, spelling);
    if (!symbol) return BadSchema(expression.schema, expression.keyword, "{}", symbol.error().message);
    content = *symbol;
    matchers.push_back(std::move(matcher));
  }
  const LengthRange length = LengthOf(matchers[0]);
  const bool bounded =
      length.min >= facts.min_length && (facts.max_length == kUnbounded || length.max <= facts.max_length);
  if (matchers.size() == 1 && bounded) return content;
  const auto product = Product(matchers, facts);
  if (!product) {
    const Facts::Expression& last = facts.expressions.back();
    return BadSchema(last.schema, last.keyword, "{}", product.error().message);
  }
  return product->ToGrammar(builder_, spelling);
}

}  // namespace hone
