#include "language/decoding/constraints/character_automaton.h"

#include <algorithm>
#include <map>
#include <span>

namespace hone {
namespace {

using Kind = RegexNode::Kind;

constexpr size_t kMaximumSteps = 20'000;  // states of the automaton before it is made deterministic
constexpr size_t kMaximumWork = 300'000;  // states in all subsets together

tl::unexpected<Error> TooLarge() {
  return BadInput("regular expression", "size",
                  "with what else holds of the string it takes more than {} states",
                  CharacterAutomaton::kMaximumStates);
}

// Thompson's construction (CACM 11(6), 1968): a state goes on freely to `free`, and by a character of a set.
class Nondeterministic {
 public:
  struct State {
    std::vector<int> free;
    std::vector<std::pair<CodePointSet, int>> next;
  };

  int Add() {
    states.emplace_back();
    return static_cast<int>(states.size()) - 1;
  }
  void Link(int from, int to) { states[static_cast<size_t>(from)].free.push_back(to); }
  int Loop(const CodePointSet& set, int from) {
    const int at = Add();
    Link(from, at);
    states[static_cast<size_t>(at)].next.emplace_back(set, at);
    return at;
  }

  // From `from` on; returns where a match of the node ends. As RegexToGrammar, an open side takes anything.
  Result<int> Lower(const RegexNode& node, int from, bool open_left, bool open_right) {
    if (states.size() > kMaximumSteps) return TooLarge();
    switch (node.kind) {
      case Kind::kCharacters: {
        if (open_left) from = Loop(CodePointSet::All(), from);
        const int end = Add();
        states[static_cast<size_t>(from)].next.emplace_back(node.set, end);
        return open_right ? Loop(CodePointSet::All(), end) : end;
      }
      case Kind::kRepeat: {
        if (open_left) from = Loop(CodePointSet::All(), from);
        HONE_TRY(const int end, Repeat(node, from));
        return open_right ? Loop(CodePointSet::All(), end) : end;
      }
      case Kind::kChoice: {
        const int end = Add();
        for (const RegexNode& child : node.children) {
          HONE_TRY(const int last, Lower(child, from, open_left, open_right));
          Link(last, end);
        }
        return end;
      }
      case Kind::kSequence:
        return Sequence(node.children, from, open_left, open_right);
      case Kind::kStart:
      case Kind::kEnd:
        return Sequence({&node, 1}, from, open_left, open_right);
    }
    return from;
  }

  std::vector<State> states;

 private:
  Result<int> Repeat(const RegexNode& node, int from) {
    const RegexNode& body = node.children[0];
    for (uint32_t i = 0; i < node.min; ++i) {
      HONE_TRY(from, Lower(body, from, false, false));
    }
    if (node.max == kUnbounded) {
      const int around = Add();
      Link(from, around);
      HONE_TRY(const int last, Lower(body, around, false, false));
      Link(last, around);
      return around;
    }
    const int end = Add();
    Link(from, end);
    for (uint32_t i = node.min; i < node.max; ++i) {
      HONE_TRY(from, Lower(body, from, false, false));
      Link(from, end);
    }
    return end;
  }

  // The places of anchors have been checked by RegexToGrammar.
  Result<int> Sequence(std::span<const RegexNode> nodes, int from, bool open_left, bool open_right) {
    while (!nodes.empty() && nodes.front().kind == Kind::kStart) {
      open_left = false;
      nodes = nodes.subspan(1);
    }
    while (!nodes.empty() && nodes.back().kind == Kind::kEnd) {
      open_right = false;
      nodes = nodes.first(nodes.size() - 1);
    }
    if (nodes.empty()) return open_left || open_right ? Loop(CodePointSet::All(), from) : from;
    for (size_t i = 0; i < nodes.size(); ++i) {
      HONE_TRY(from, Lower(nodes[i], from, i == 0 && open_left, i + 1 == nodes.size() && open_right));
    }
    return from;
  }
};

using Subset = std::vector<int>;  // sorted

Subset Closure(const Nondeterministic& automaton, Subset states) {
  std::vector<int> queue = states;
  while (!queue.empty()) {
    const int at = queue.back();
    queue.pop_back();
    for (const int next : automaton.states[static_cast<size_t>(at)].free) {
      const auto place = std::lower_bound(states.begin(), states.end(), next);
      if (place != states.end() && *place == next) continue;
      states.insert(place, next);
      queue.push_back(next);
    }
  }
  return states;
}

// Where each character leads from a subset, characters that lead alike together.
std::map<Subset, CodePointSet> Moves(const Nondeterministic& automaton, const Subset& subset) {
  std::vector<std::pair<CodePointSet, Subset>> parts;  // disjoint
  for (const int state : subset) {
    for (const auto& [set, to] : automaton.states[static_cast<size_t>(state)].next) {
      CodePointSet rest = set;
      const size_t count = parts.size();
      for (size_t i = 0; i < count && !rest.empty(); ++i) {
        const CodePointSet both = parts[i].first.Intersect(rest);
        if (both.empty()) continue;
        rest = rest.Without(both);
        const CodePointSet only = parts[i].first.Without(both);
        if (!only.empty()) parts.emplace_back(only, parts[i].second);
        parts[i].first = both;
        parts[i].second.push_back(to);
      }
      if (!rest.empty()) parts.push_back({rest, {to}});
    }
  }
  std::map<Subset, CodePointSet> moves;
  for (auto& [set, targets] : parts) {
    std::sort(targets.begin(), targets.end());
    targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
    moves[Closure(automaton, targets)].Add(set);
  }
  return moves;
}

}  // namespace

Result<CharacterAutomaton> CharacterAutomaton::Of(const RegexNode& regex, RegexMatch match) {
  Nondeterministic automaton;
  const int start = automaton.Add();
  const bool open = match == RegexMatch::kContains;
  HONE_TRY(const int end, automaton.Lower(regex, start, open, open));
  CharacterAutomaton result;
  std::map<Subset, int> numbers;
  std::vector<Subset> subsets;
  const auto number = [&](const Subset& subset) {
    const auto [known, added] = numbers.try_emplace(subset, static_cast<int>(subsets.size()));
    if (added) {
      subsets.push_back(subset);
      result.states_.emplace_back().accepts = std::binary_search(subset.begin(), subset.end(), end);
    }
    return known->second;
  };
  number(Closure(automaton, {start}));
  size_t work = 0;
  for (size_t i = 0; i < subsets.size(); ++i) {
    work += subsets[i].size();
    if (subsets.size() > kMaximumStates || work > kMaximumWork) return TooLarge();
    for (const auto& [target, set] : Moves(automaton, Subset(subsets[i]))) {
      const int to = number(target);
      result.states_[i].next.emplace_back(set, to);
    }
  }
  return result;
}

Result<CharacterAutomaton> CharacterAutomaton::OfLength(uint32_t min, uint32_t max) {
  const uint32_t last = max == kUnbounded ? min : max;
  if (last >= kMaximumStates) return TooLarge();
  CharacterAutomaton result;
  for (uint32_t length = 0; length <= last; ++length) {
    State& state = result.states_.emplace_back();
    state.accepts = length >= min;
    if (length < last) state.next.emplace_back(CodePointSet::All(), static_cast<int>(length) + 1);
  }
  if (max == kUnbounded) result.states_.back().next.emplace_back(CodePointSet::All(), static_cast<int>(last));
  return result;
}

Result<CharacterAutomaton> CharacterAutomaton::Intersect(const CharacterAutomaton& other) const {
  CharacterAutomaton result;
  std::map<std::pair<int, int>, int> numbers;
  std::vector<std::pair<int, int>> pairs;
  const auto number = [&](std::pair<int, int> pair) {
    const auto [known, added] = numbers.try_emplace(pair, static_cast<int>(pairs.size()));
    if (added) {
      pairs.push_back(pair);
      result.states_.emplace_back().accepts = states_[static_cast<size_t>(pair.first)].accepts &&
                                              other.states_[static_cast<size_t>(pair.second)].accepts;
    }
    return known->second;
  };
  number({0, 0});
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (pairs.size() > kMaximumStates) return TooLarge();
    const auto [a, b] = pairs[i];
    for (const auto& [set, to] : states_[static_cast<size_t>(a)].next) {
      for (const auto& [other_set, other_to] : other.states_[static_cast<size_t>(b)].next) {
        const CodePointSet both = set.Intersect(other_set);
        if (both.empty()) continue;
        const int target = number({to, other_to});
        result.states_[i].next.emplace_back(both, target);
      }
    }
  }
  return result;
}

Symbol CharacterAutomaton::ToGrammar(GrammarBuilder& builder, const CharacterSpelling& spelling) const {
  std::vector<Symbol> rules;
  for (size_t i = 0; i < states_.size(); ++i) rules.push_back(builder.Declare());
  for (size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    CodePointSet around;  // what stays here: a repetition, which masks know how to count
    std::vector<Symbol> ways;
    if (state.accepts) ways.push_back(builder.Empty());
    for (const auto& [set, to] : state.next) {
      if (to == static_cast<int>(i)) {
        around.Add(set);
      } else {
        ways.push_back(builder.Sequence({spelling(set), rules[static_cast<size_t>(to)]}));
      }
    }
    Symbol body = builder.Choice(std::move(ways));
    if (!around.empty()) {
      body = builder.Sequence({builder.Repeat(spelling(around), 0, kUnbounded), body});
    }
    builder.Define(rules[i], body);
  }
  return rules[0];
}

}  // namespace hone
