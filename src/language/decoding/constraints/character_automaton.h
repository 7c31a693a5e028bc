// Deterministic automata over characters: where several expressions and bounds on the length hold of one
// string, their product is what all of them allow.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "language/decoding/constraints/regex_grammar.h"

namespace hone {

class CharacterAutomaton {
 public:
  // A larger automaton is refused.
  static constexpr size_t kMaximumStates = 20'000;

  // The texts that the expression matches. Counted repetitions are written out here.
  static Result<CharacterAutomaton> Of(const RegexNode& regex, RegexMatch match);
  // Texts of min to max characters; max may be kUnbounded.
  static Result<CharacterAutomaton> OfLength(uint32_t min, uint32_t max);

  // The texts that both accept.
  Result<CharacterAutomaton> Intersect(const CharacterAutomaton& other) const;

  // As grammar rules, one a state.
  Symbol ToGrammar(GrammarBuilder& builder, const CharacterSpelling& spelling) const;

  size_t states() const { return states_.size(); }

 private:
  struct State {
    std::vector<std::pair<CodePointSet, int>> next;  // disjoint sets
    bool accepts = false;
  };
  std::vector<State> states_;  // the first is the start
};

}  // namespace hone
