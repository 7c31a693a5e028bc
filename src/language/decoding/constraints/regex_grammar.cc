#include "language/decoding/constraints/regex_grammar.h"

#include <algorithm>
#include <span>

namespace hone {
namespace {

using Kind = RegexNode::Kind;

// What lies on one side of a piece of the expression.
enum class Side : uint8_t {
  kOpen,    // the end of the text, with anything in between
  kEdge,    // the end of the text itself: an anchor holds
  kMiddle,  // another piece: an anchor cannot hold
};

bool HasAnchor(const RegexNode& node) {
  if (node.kind == Kind::kStart || node.kind == Kind::kEnd) return true;
  return std::any_of(node.children.begin(), node.children.end(), HasAnchor);
}

class Lowering {
 public:
  Lowering(GrammarBuilder& builder, const CharacterSpelling& spelling)
      : builder_(builder), spelling_(spelling) {}

  Result<Symbol> Lower(const RegexNode& node, Side left, Side right) {
    switch (node.kind) {
      case Kind::kCharacters:
        return Surround(spelling_(node.set), left, right);
      case Kind::kRepeat: {
        if (HasAnchor(node)) return MisplacedAnchor();
        HONE_TRY(const Symbol body, Lower(node.children[0], Side::kMiddle, Side::kMiddle));
        return Surround(builder_.Repeat(body, node.min, node.max), left, right);
      }
      case Kind::kChoice: {
        std::vector<Symbol> alternatives;
        for (const RegexNode& child : node.children) {
          HONE_TRY(alternatives.emplace_back(builder_.Empty()), Lower(child, left, right));
        }
        return builder_.Choice(std::move(alternatives));
      }
      case Kind::kSequence:
        return LowerSequence(node.children, left, right);
      case Kind::kStart:
      case Kind::kEnd:
        return LowerSequence({&node, 1}, left, right);
    }
    return MisplacedAnchor();
  }

 private:
  static tl::unexpected<Error> MisplacedAnchor() {
    return BadInput("regular expression", "anchor",
                    "found ^ or $ between other parts, expected it at an end of the expression");
  }

  Symbol Anything() { return builder_.Repeat(spelling_(CodePointSet::All()), 0, kUnbounded); }

  Symbol Surround(Symbol piece, Side left, Side right) {
    std::vector<Symbol> parts;
    if (left == Side::kOpen) parts.push_back(Anything());
    parts.push_back(piece);
    if (right == Side::kOpen) parts.push_back(Anything());
    return builder_.Sequence(std::move(parts));
  }

  Result<Symbol> LowerSequence(std::span<const RegexNode> nodes, Side left, Side right) {
    while (!nodes.empty() && nodes.front().kind == Kind::kStart) {
      if (left == Side::kMiddle) return MisplacedAnchor();
      left = Side::kEdge;
      nodes = nodes.subspan(1);
    }
    while (!nodes.empty() && nodes.back().kind == Kind::kEnd) {
      if (right == Side::kMiddle) return MisplacedAnchor();
      right = Side::kEdge;
      nodes = nodes.first(nodes.size() - 1);
    }
    if (nodes.empty()) return left == Side::kOpen || right == Side::kOpen ? Anything() : builder_.Empty();
    std::vector<Symbol> parts;
    for (size_t i = 0; i < nodes.size(); ++i) {
      const Side before = i == 0 ? left : Side::kMiddle;
      const Side after = i + 1 == nodes.size() ? right : Side::kMiddle;
      HONE_TRY(parts.emplace_back(builder_.Empty()), Lower(nodes[i], before, after));
    }
    return builder_.Sequence(std::move(parts));
  }

  GrammarBuilder& builder_;
  const CharacterSpelling& spelling_;
};

}  // namespace

Result<Symbol> RegexToGrammar(GrammarBuilder& builder, const RegexNode& regex, RegexMatch match,
                              const CharacterSpelling& spelling) {
  const Side side = match == RegexMatch::kWhole ? Side::kEdge : Side::kOpen;
  return Lowering(builder, spelling).Lower(regex, side, side);
}

LengthRange RegexLength(const RegexNode& regex) {
  const uint64_t kMost = kUnbounded;
  const auto capped = [kMost](uint64_t value) { return std::min(value, kMost); };
  LengthRange range;
  switch (regex.kind) {
    case Kind::kCharacters:
      return {1, 1};
    case Kind::kStart:
    case Kind::kEnd:
      return {0, 0};
    case Kind::kRepeat: {
      const LengthRange body = RegexLength(regex.children[0]);
      return {capped(body.min * regex.min), body.max == 0 ? 0 : capped(body.max * regex.max)};
    }
    case Kind::kChoice:
      range.min = kMost;
      for (const RegexNode& child : regex.children) {
        const LengthRange part = RegexLength(child);
        range.min = std::min(range.min, part.min);
        range.max = std::max(range.max, part.max);
      }
      return range;
    case Kind::kSequence:
      for (const RegexNode& child : regex.children) {
        const LengthRange part = RegexLength(child);
        range.min = capped(range.min + part.min);
        range.max = capped(range.max + part.max);
      }
      return range;
  }
  return range;
}

}  // namespace hone
