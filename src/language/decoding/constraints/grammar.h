// The one form that every constraint is compiled to: a context-free grammar over bytes whose repetitions are
// counters. A rule that repeats its body up to 100 000 times is as large as one that repeats it twice.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "language/decoding/constraints/byte_set.h"
#include "language/decoding/constraints/code_point_set.h"

namespace hone {

inline constexpr uint32_t kUnbounded = std::numeric_limits<uint32_t>::max();

// A rule, or one byte out of a set.
class Symbol {
 public:
  static Symbol Rule(int rule) { return Symbol(rule); }
  static Symbol Bytes(int set) { return Symbol(~set); }
  bool is_rule() const { return code_ >= 0; }
  int rule() const { return code_; }
  int bytes() const { return ~code_; }
  auto operator<=>(const Symbol&) const = default;

 private:
  explicit Symbol(int code) : code_(code) {}
  int32_t code_;
};

// Immutable; made by GrammarBuilder. Every rule can derive some bytes, so whatever was accepted as the
// beginning of a sentence can be completed to one.
class Grammar {
 public:
  // Alternatives lie one behind the other in one array of cells, each closed by kEnd. A repeating rule is one
  // kRepeat cell alone.
  struct Cell {
    enum class Kind : uint8_t { kSymbol, kRepeat, kEnd };
    Kind kind = Kind::kEnd;
    Symbol symbol = Symbol::Rule(0);  // what comes next, or is repeated
    int32_t rule = 0;                 // that this cell belongs to
    uint32_t min = 0;                 // of kRepeat
    uint32_t max = 0;
    int32_t characters = -1;  // of kRepeat: index into character_sets, see there
  };
  struct Rule {
    std::vector<uint32_t> alternatives;  // cells
    bool nullable = false;               // derives the empty string
  };
  // What a repetition repeats includes each single character of `set`, and no other text that the body can
  // derive begins with one of them: a text of k such characters is k repetitions and nothing else.
  struct CharacterSet {
    CodePointSet set;
    ByteSet first_bytes;
    std::vector<bool> body_rules;  // by rule: reachable from the body
  };

  const std::vector<Cell>& cells() const { return cells_; }
  const std::vector<Rule>& rules() const { return rules_; }
  const std::vector<ByteSet>& byte_sets() const { return byte_sets_; }
  const std::vector<CharacterSet>& character_sets() const { return character_sets_; }
  int start() const { return start_; }

  // Bytes that no rule tells apart share a class.
  int byte_classes() const { return byte_classes_; }
  int ByteClass(uint8_t byte) const { return class_of_byte_[byte]; }

 private:
  friend class GrammarBuilder;
  std::vector<Cell> cells_;
  std::vector<Rule> rules_;
  std::vector<ByteSet> byte_sets_;
  std::vector<CharacterSet> character_sets_;
  int start_ = 0;
  int byte_classes_ = 0;
  std::array<uint8_t, 256> class_of_byte_{};
};

}  // namespace hone
