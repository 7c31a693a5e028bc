// Cuts a text into the pieces that are merged on their own: the pre-tokenizer. A sequence of steps, each
// cutting the pieces of the one before; pieces never grow. Linear in the text, on a constant stack.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

struct SplitStep {
  enum class Kind {
    kExpression,           // every match is a piece, and what lies between two matches is one
    kExpressionGaps,       // matches are thrown away ("removed")
    kExpressionJoinLeft,   // a match ends the piece before it
    kExpressionJoinRight,  // a match begins the piece after it
    kExpressionRuns,       // neighbouring matches are one piece
    kNumberGroups,         // runs of \p{N} in groups of three, counted from the right (AFMoE, Tiny Aya)
    kDigitGroups,  // a cut before every digit 0-9 that has a multiple of three digits from it on (SuperBPE)
  };
  Kind kind = Kind::kExpression;
  std::string expression = {};  // Perl syntax; \s is Unicode's White_Space
  bool invert = false;          // the gaps are the matches
};

class Splitter {
 public:
  Splitter();
  Splitter(Splitter&&) noexcept;
  Splitter& operator=(Splitter&&) noexcept;
  ~Splitter();

  // An error says what the expression's compiler found wrong.
  static Result<Splitter> Make(const std::vector<SplitStep>& steps);

  // Scratch memory of one caller.
  class Scratch;

  // The pieces of `text` (any bytes: a broken one counts as U+FFFD) as [begin, end) in order. `unsplit` grows
  // by the bytes that an expression could not cut within its step limit; they stay in one piece.
  struct Piece {
    size_t begin;
    size_t end;
  };
  void Split(std::string_view text, Scratch& scratch, std::vector<Piece>& pieces, int64_t& unsplit) const;

  bool empty() const;

 private:
  struct Step;
  std::vector<Step> steps_;
};

class Splitter::Scratch {
 public:
  Scratch();
  ~Scratch();

 private:
  friend class Splitter;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hone
