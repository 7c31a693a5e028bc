// Sets of Unicode characters, and the byte sequences that spell them.
#pragma once

#include <cstdint>
#include <vector>

#include "language/decoding/constraints/byte_set.h"

namespace hone {

// Characters are U+0000 to U+10FFFF without the surrogates U+D800 to U+DFFF, which UTF-8 cannot spell.
class CodePointSet {
 public:
  struct Range {
    char32_t first = 0;
    char32_t last = 0;
    auto operator<=>(const Range&) const = default;
  };

  CodePointSet() = default;
  static CodePointSet All();
  static CodePointSet Of(std::initializer_list<Range> ranges);
  static CodePointSet One(char32_t code) { return Of({{code, code}}); }

  // Adds [first, last]; surrogates in it are left out.
  void Add(char32_t first, char32_t last);
  void Add(const CodePointSet& other);
  CodePointSet Complement() const;
  CodePointSet Intersect(const CodePointSet& other) const;
  CodePointSet Without(const CodePointSet& other) const { return Intersect(other.Complement()); }

  bool Has(char32_t code) const;
  bool empty() const { return ranges_.empty(); }
  int64_t count() const;
  const std::vector<Range>& ranges() const { return ranges_; }  // sorted, neither overlapping nor touching
  auto operator<=>(const CodePointSet&) const = default;

 private:
  void Insert(char32_t first, char32_t last);
  std::vector<Range> ranges_;
};

// One to four sets of bytes whose product spells some characters.
using ByteSequence = std::vector<ByteSet>;

// Disjoint sequences that together spell exactly the set in UTF-8.
std::vector<ByteSequence> Utf8Sequences(const CodePointSet& set);

}  // namespace hone
