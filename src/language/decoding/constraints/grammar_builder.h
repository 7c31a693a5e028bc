// Puts a Grammar together from literals, sets, sequences, choices and counted repetitions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "language/decoding/constraints/grammar.h"

namespace hone {

class GrammarBuilder {
 public:
  Symbol Bytes(const ByteSet& set);
  Symbol Literal(std::string_view bytes);
  // One character of the set, in UTF-8.
  Symbol Characters(const CodePointSet& set);
  Symbol Sequence(std::vector<Symbol> parts);
  Symbol Choice(std::vector<Symbol> alternatives);
  // Exactly one of the texts; shared beginnings are walked once.
  Symbol OneOf(std::vector<std::string> texts);
  // min <= max; max may be kUnbounded.
  Symbol Repeat(Symbol body, uint32_t min, uint32_t max);
  Symbol Optional(Symbol body) { return Repeat(body, 0, 1); }
  Symbol Empty() { return Literal(""); }
  // Derives nothing at all: an alternative with it in a sequence vanishes.
  Symbol Nothing() { return Choice({}); }

  // All rules of a grammar that is complete; the symbol is its start.
  Symbol Import(const Grammar& grammar);

  // A rule that is used before it is known.
  Symbol Declare();
  void Define(Symbol declared, Symbol body);

  // Cells so far: what a compiler checks to refuse input that grows without measure.
  size_t size() const { return cells_; }
  static constexpr size_t kMaximumSize = 4'000'000;

  // An error if `start` derives nothing, or the grammar has grown beyond kMaximumSize. `name` is what the
  // message calls it.
  Result<std::shared_ptr<const Grammar>> Finish(Symbol start, std::string_view name);

 private:
  struct Draft {
    std::vector<std::vector<Symbol>> alternatives;
    bool repeats = false;
    Symbol body = Symbol::Rule(0);
    uint32_t min = 0;
    uint32_t max = 0;
    std::optional<CodePointSet> characters;  // of a rule that Characters made
  };
  Symbol Add(Draft draft);
  // The rules with an alternative whose symbols all hold: which derive some text where bytes hold, which the
  // empty one where they do not.
  std::vector<bool> Fixpoint(bool bytes_hold) const;
  std::vector<int> Reachable(int start, const std::vector<bool>& productive) const;
  bool IsProductive(const std::vector<Symbol>& alternative, const std::vector<bool>& productive) const;
  std::optional<CodePointSet> CharactersOf(Symbol symbol) const;
  ByteSet FirstBytes(Symbol symbol, const std::vector<bool>& nullable) const;
  std::optional<Grammar::CharacterSet> RepeatedCharacters(Symbol body,
                                                          const std::vector<bool>& nullable) const;
  static void ClassifyBytes(Grammar& grammar);

  std::vector<Draft> drafts_;
  std::vector<ByteSet> byte_sets_;
  std::map<ByteSet, int> byte_set_ids_;
  std::map<std::string, Symbol, std::less<>> literals_;
  std::map<CodePointSet, Symbol> characters_;
  std::map<Symbol, Grammar::CharacterSet> imported_characters_;  // by the body that is repeated
  size_t cells_ = 0;
};

}  // namespace hone
