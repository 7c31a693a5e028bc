#include "language/decoding/constraints/combine.h"

#include <string>

#include "language/decoding/constraints/grammar_builder.h"
#include "language/decoding/constraints/token_table.h"

namespace hone {
namespace {

// Any text up to and with the first `end`, whose first character stands in it once. A text splits in one way
// only: characters other than that one, and beginnings of `end` each followed by what does not go on with it.
Symbol TextUpTo(GrammarBuilder& builder, std::string_view end) {
  const auto first = static_cast<unsigned char>(end[0]);
  std::vector<Symbol> begun;  // a beginning of `end`, before another one
  std::vector<Symbol> left;   // one that comes to nothing
  for (size_t length = 1; length < end.size(); ++length) {
    const Symbol beginning = builder.Literal(end.substr(0, length));
    begun.push_back(beginning);
    const auto next = static_cast<unsigned char>(end[length]);
    const CodePointSet others = CodePointSet::Of({{first, first}, {next, next}}).Complement();
    left.push_back(builder.Sequence({beginning, builder.Characters(others)}));
  }
  const Symbol all_begun = builder.Repeat(builder.Choice(begun), 0, kUnbounded);
  // One choice whose alternatives are spelled out: so repetitions of plain characters are recognized as such.
  std::vector<Symbol> units{builder.Characters(CodePointSet::One(first).Complement())};
  for (const Symbol beginning : left) units.push_back(builder.Sequence({all_begun, beginning}));
  return builder.Sequence(
      {builder.Repeat(builder.Choice(units), 0, kUnbounded), all_begun, builder.Literal(end)});
}

}  // namespace

Result<Constraint> EitherConstraint(const Constraint& a, const Constraint& b) {
  GrammarBuilder builder;
  const Symbol root = builder.Choice({builder.Import(*a.grammar), builder.Import(*b.grammar)});
  Constraint constraint;
  HONE_TRY(constraint.grammar, builder.Finish(root, "grammar"));
  return constraint;
}

Result<Constraint> AfterThinking(const Constraint& constraint, ThinkingStart start, const TokenTable* table) {
  if (!constraint.triggers.empty()) return constraint;
  GrammarBuilder builder;
  const std::string close = MarkerText("</think>", table);
  const Symbol root = builder.Import(*constraint.grammar);
  // A control token is one symbol of its own and cannot be begun.
  const Symbol text =
      close.starts_with('<')
          ? TextUpTo(builder, close)
          : builder.Sequence({builder.Repeat(builder.Characters(CodePointSet::All()), 0, kUnbounded),
                              builder.Literal(close)});
  const Symbol thought = builder.Sequence({text, builder.OneOf({"", "\n", "\n\n"}), root});
  const Symbol whole =
      start == ThinkingStart::kOpened
          ? thought
          : builder.Choice(
                {root, builder.Sequence({builder.Literal(MarkerText("<think>", table)), thought})});
  Constraint result;
  HONE_TRY(result.grammar, builder.Finish(whole, "grammar"));
  return result;
}

}  // namespace hone
