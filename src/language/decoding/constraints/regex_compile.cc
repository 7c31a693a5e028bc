#include "language/decoding/constraints/compile.h"
#include "language/decoding/constraints/regex_grammar.h"

namespace hone {

Result<Constraint> CompileRegex(std::string_view expression) {
  HONE_TRY(const RegexNode regex, ParseRegex(expression));
  GrammarBuilder builder;
  HONE_TRY(const Symbol root,
           RegexToGrammar(builder, regex, RegexMatch::kWhole,
                          [&](const CodePointSet& set) { return builder.Characters(set); }));
  Constraint constraint;
  HONE_TRY(constraint.grammar, builder.Finish(root, "regular expression"));
  return constraint;
}

}  // namespace hone
