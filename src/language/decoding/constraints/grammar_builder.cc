#include "language/decoding/constraints/grammar_builder.h"

#include <algorithm>

namespace hone {
namespace {

// Repetitions of fewer characters are left to the recognizer alone.
constexpr int64_t kFewestCharacters = 16;

}  // namespace

Symbol GrammarBuilder::Add(Draft draft) {
  cells_ += 1;
  for (const auto& alternative : draft.alternatives) cells_ += alternative.size() + 1;
  drafts_.push_back(std::move(draft));
  return Symbol::Rule(static_cast<int>(drafts_.size()) - 1);
}

Symbol GrammarBuilder::Bytes(const ByteSet& set) {
  const auto [found, added] = byte_set_ids_.try_emplace(set, static_cast<int>(byte_sets_.size()));
  if (added) byte_sets_.push_back(set);
  return Symbol::Bytes(found->second);
}

Symbol GrammarBuilder::Literal(std::string_view bytes) {
  if (bytes.size() == 1) return Bytes(ByteSet::One(static_cast<uint8_t>(bytes[0])));
  if (const auto known = literals_.find(bytes); known != literals_.end()) return known->second;
  std::vector<Symbol> parts;
  for (const char byte : bytes) parts.push_back(Bytes(ByteSet::One(static_cast<uint8_t>(byte))));
  Draft draft;
  draft.alternatives.push_back(std::move(parts));
  const Symbol symbol = Add(std::move(draft));
  literals_.emplace(std::string(bytes), symbol);
  return symbol;
}

Symbol GrammarBuilder::Characters(const CodePointSet& set) {
  if (const auto known = characters_.find(set); known != characters_.end()) return known->second;
  const std::vector<ByteSequence> sequences = Utf8Sequences(set);
  if (sequences.size() == 1 && sequences[0].size() == 1) {
    const Symbol symbol = Bytes(sequences[0][0]);
    characters_.emplace(set, symbol);
    return symbol;
  }
  Draft draft;
  draft.characters = set;
  for (const ByteSequence& sequence : sequences) {
    std::vector<Symbol>& parts = draft.alternatives.emplace_back();
    for (const ByteSet& bytes : sequence) parts.push_back(Bytes(bytes));
  }
  const Symbol symbol = Add(std::move(draft));
  characters_.emplace(set, symbol);
  return symbol;
}

Symbol GrammarBuilder::Sequence(std::vector<Symbol> parts) {
  if (parts.size() == 1) return parts[0];
  if (parts.empty()) return Empty();
  Draft draft;
  draft.alternatives.push_back(std::move(parts));
  return Add(std::move(draft));
}

Symbol GrammarBuilder::Choice(std::vector<Symbol> alternatives) {
  std::sort(alternatives.begin(), alternatives.end());
  alternatives.erase(std::unique(alternatives.begin(), alternatives.end()), alternatives.end());
  if (alternatives.size() == 1) return alternatives[0];
  Draft draft;
  for (const Symbol alternative : alternatives) draft.alternatives.push_back({alternative});
  return Add(std::move(draft));
}

Symbol GrammarBuilder::OneOf(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  // By the first byte in which they differ, from the longest shared beginning on.
  const auto build = [&](const auto& self, size_t begin, size_t end, size_t depth) -> Symbol {
    size_t shared = depth;
    const std::string& first = texts[begin];
    const std::string& last = texts[end - 1];
    while (shared < first.size() && shared < last.size() && first[shared] == last[shared]) ++shared;
    const Symbol prefix = Literal(std::string_view(first).substr(depth, shared - depth));
    std::vector<Symbol> rest;
    size_t at = begin;
    if (first.size() == shared) {
      rest.push_back(Empty());
      ++at;
    }
    while (at < end) {
      size_t next = at;
      while (next < end && texts[next][shared] == texts[at][shared]) ++next;
      rest.push_back(next - at == 1 ? Literal(std::string_view(texts[at]).substr(shared))
                                    : self(self, at, next, shared));
      at = next;
    }
    if (rest.size() == 1 && first.size() == shared) return prefix;
    return Sequence({prefix, Choice(std::move(rest))});
  };
  if (texts.empty()) return Nothing();
  return build(build, 0, texts.size(), 0);
}

Symbol GrammarBuilder::Repeat(Symbol body, uint32_t min, uint32_t max) {
  if (min == 1 && max == 1) return body;
  if (max == 0) return Empty();
  Draft draft;
  draft.repeats = true;
  draft.body = body;
  draft.min = min;
  draft.max = max;
  return Add(std::move(draft));
}

Symbol GrammarBuilder::Import(const Grammar& grammar) {
  using Kind = Grammar::Cell::Kind;
  const auto first = static_cast<int>(drafts_.size());
  const auto here = [&](Symbol symbol) {
    return symbol.is_rule() ? Symbol::Rule(first + symbol.rule())
                            : Bytes(grammar.byte_sets()[static_cast<size_t>(symbol.bytes())]);
  };
  for (const Grammar::Rule& rule : grammar.rules()) {
    Draft draft;
    for (size_t cell : rule.alternatives) {
      const Grammar::Cell& begin = grammar.cells()[cell];
      if (begin.kind == Kind::kRepeat) {
        draft.repeats = true;
        draft.body = here(begin.symbol);
        draft.min = begin.min;
        draft.max = begin.max;
        if (begin.characters >= 0) {
          imported_characters_.emplace(draft.body,
                                       grammar.character_sets()[static_cast<size_t>(begin.characters)]);
        }
        continue;
      }
      std::vector<Symbol>& parts = draft.alternatives.emplace_back();
      for (; grammar.cells()[cell].kind != Kind::kEnd; ++cell)
        parts.push_back(here(grammar.cells()[cell].symbol));
    }
    Add(std::move(draft));
  }
  return Symbol::Rule(first + grammar.start());
}

Symbol GrammarBuilder::Declare() { return Add({}); }

void GrammarBuilder::Define(Symbol declared, Symbol body) {
  drafts_[static_cast<size_t>(declared.rule())].alternatives.push_back({body});
  cells_ += 2;
}

bool GrammarBuilder::IsProductive(const std::vector<Symbol>& alternative,
                                  const std::vector<bool>& productive) const {
  return std::all_of(alternative.begin(), alternative.end(), [&](Symbol symbol) {
    return symbol.is_rule() ? productive[static_cast<size_t>(symbol.rule())]
                            : !byte_sets_[static_cast<size_t>(symbol.bytes())].empty();
  });
}

std::vector<bool> GrammarBuilder::Fixpoint(bool bytes_hold) const {
  // Each rule waits for the symbols of its alternatives; a queue of rules that newly hold wakes them.
  std::vector<bool> holds(drafts_.size(), false);
  std::vector<std::vector<size_t>> users(drafts_.size());
  for (size_t rule = 0; rule < drafts_.size(); ++rule) {
    const Draft& draft = drafts_[rule];
    if (draft.repeats && draft.body.is_rule()) users[static_cast<size_t>(draft.body.rule())].push_back(rule);
    for (const auto& alternative : draft.alternatives) {
      for (const Symbol symbol : alternative) {
        if (symbol.is_rule()) users[static_cast<size_t>(symbol.rule())].push_back(rule);
      }
    }
  }
  const auto symbol_holds = [&](Symbol symbol) {
    return symbol.is_rule() ? static_cast<bool>(holds[static_cast<size_t>(symbol.rule())])
                            : bytes_hold && !byte_sets_[static_cast<size_t>(symbol.bytes())].empty();
  };
  const auto rule_holds = [&](const Draft& draft) {
    if (draft.repeats) return draft.min == 0 || symbol_holds(draft.body);
    return std::any_of(draft.alternatives.begin(), draft.alternatives.end(), [&](const auto& alternative) {
      return std::all_of(alternative.begin(), alternative.end(), symbol_holds);
    });
  };
  std::vector<size_t> queue;
  for (size_t rule = 0; rule < drafts_.size(); ++rule) queue.push_back(rule);
  while (!queue.empty()) {
    const size_t rule = queue.back();
    queue.pop_back();
    if (holds[rule] || !rule_holds(drafts_[rule])) continue;
    holds[rule] = true;
    queue.insert(queue.end(), users[rule].begin(), users[rule].end());
  }
  return holds;
}

std::vector<int> GrammarBuilder::Reachable(int start, const std::vector<bool>& productive) const {
  std::vector<int> number(drafts_.size(), -1);
  std::vector<int> order;
  const auto visit = [&](Symbol symbol) {
    if (!symbol.is_rule() || number[static_cast<size_t>(symbol.rule())] >= 0) return;
    number[static_cast<size_t>(symbol.rule())] = static_cast<int>(order.size());
    order.push_back(symbol.rule());
  };
  visit(Symbol::Rule(start));
  for (size_t i = 0; i < order.size(); ++i) {
    const Draft& draft = drafts_[static_cast<size_t>(order[i])];
    if (draft.repeats && IsProductive({draft.body}, productive)) visit(draft.body);
    for (const auto& alternative : draft.alternatives) {
      if (!IsProductive(alternative, productive)) continue;
      for (const Symbol symbol : alternative) visit(symbol);
    }
  }
  return order;
}

std::optional<CodePointSet> GrammarBuilder::CharactersOf(Symbol symbol) const {
  if (symbol.is_rule()) return drafts_[static_cast<size_t>(symbol.rule())].characters;
  CodePointSet set;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (!byte_sets_[static_cast<size_t>(symbol.bytes())].Has(static_cast<uint8_t>(byte))) continue;
    if (byte >= 0x80) return std::nullopt;
    set.Add(byte, byte);
  }
  return set;
}

ByteSet GrammarBuilder::FirstBytes(Symbol symbol, const std::vector<bool>& nullable) const {
  ByteSet first;
  std::vector<bool> seen(drafts_.size(), false);
  std::vector<Symbol> queue{symbol};
  while (!queue.empty()) {
    const Symbol next = queue.back();
    queue.pop_back();
    if (!next.is_rule()) {
      first |= byte_sets_[static_cast<size_t>(next.bytes())];
      continue;
    }
    const auto rule = static_cast<size_t>(next.rule());
    if (seen[rule]) continue;
    seen[rule] = true;
    const Draft& draft = drafts_[rule];
    if (draft.repeats) queue.push_back(draft.body);
    for (const auto& alternative : draft.alternatives) {
      for (const Symbol part : alternative) {
        queue.push_back(part);
        if (!part.is_rule() || !nullable[static_cast<size_t>(part.rule())]) break;
      }
    }
  }
  return first;
}

std::optional<Grammar::CharacterSet> GrammarBuilder::RepeatedCharacters(
    Symbol body, const std::vector<bool>& nullable) const {
  if (const auto known = imported_characters_.find(body); known != imported_characters_.end()) {
    return known->second;
  }
  Grammar::CharacterSet found;
  std::vector<Symbol> others;
  if (const auto set = CharactersOf(body)) {
    found.set = *set;
  } else if (body.is_rule()) {
    for (const auto& alternative : drafts_[static_cast<size_t>(body.rule())].alternatives) {
      if (alternative.empty()) return std::nullopt;
      if (const auto set = alternative.size() == 1 ? CharactersOf(alternative[0]) : std::nullopt) {
        found.set.Add(*set);
      } else {
        others.push_back(alternative[0]);
      }
    }
  }
  if (found.set.count() < kFewestCharacters) return std::nullopt;
  for (const ByteSequence& sequence : Utf8Sequences(found.set)) found.first_bytes |= sequence[0];
  for (const Symbol other : others) {
    if (other.is_rule() && nullable[static_cast<size_t>(other.rule())]) return std::nullopt;
    if (FirstBytes(other, nullable).Intersects(found.first_bytes)) return std::nullopt;
  }
  return found;
}

void GrammarBuilder::ClassifyBytes(Grammar& grammar) {
  // Two bytes are of one class when every set has both or neither: classes are split set by set.
  std::array<int, 256> classes{};
  int count = 1;
  for (const ByteSet& set : grammar.byte_sets_) {
    std::map<std::pair<int, bool>, int> renamed;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const auto key = std::make_pair(classes[byte], set.Has(static_cast<uint8_t>(byte)));
      classes[byte] = renamed.try_emplace(key, static_cast<int>(renamed.size())).first->second;
    }
    count = static_cast<int>(renamed.size());
  }
  for (unsigned byte = 0; byte < 256; ++byte)
    grammar.class_of_byte_[byte] = static_cast<uint8_t>(classes[byte]);
  grammar.byte_classes_ = count;
}

Result<std::shared_ptr<const Grammar>> GrammarBuilder::Finish(Symbol start, std::string_view name) {
  if (cells_ > kMaximumSize) {
    return BadInput(name, "size", "{} cells, expected at most {}", cells_, kMaximumSize);
  }
  Draft top;
  top.alternatives.push_back({start});
  const Symbol root = Add(std::move(top));
  const std::vector<bool> productive = Fixpoint(/*bytes_hold=*/true);
  if (!productive[static_cast<size_t>(root.rule())]) {
    return BadInput(name, "root", "no text satisfies it, expected at least one");
  }
  const std::vector<bool> nullable = Fixpoint(/*bytes_hold=*/false);
  const std::vector<int> order = Reachable(root.rule(), productive);
  std::vector<int> number(drafts_.size(), -1);
  for (size_t i = 0; i < order.size(); ++i) number[static_cast<size_t>(order[i])] = static_cast<int>(i);
  const auto renamed = [&](Symbol symbol) {
    return symbol.is_rule() ? Symbol::Rule(number[static_cast<size_t>(symbol.rule())]) : symbol;
  };

  auto grammar = std::make_shared<Grammar>();
  grammar->byte_sets_ = byte_sets_;
  std::map<Symbol, int> character_sets;  // by body; -1: none
  std::vector<Symbol> bodies;            // of the character sets
  using Cell = Grammar::Cell;
  for (size_t i = 0; i < order.size(); ++i) {
    const Draft& draft = drafts_[static_cast<size_t>(order[i])];
    Grammar::Rule rule;
    rule.nullable = nullable[static_cast<size_t>(order[i])];
    const auto rule_number = static_cast<int32_t>(i);
    const auto end = [&] { grammar->cells_.push_back({.kind = Cell::Kind::kEnd, .rule = rule_number}); };
    if (draft.repeats && !IsProductive({draft.body}, productive)) {
      rule.alternatives.push_back(static_cast<uint32_t>(grammar->cells_.size()));
      end();
    } else if (draft.repeats) {
      const auto [known, added] = character_sets.try_emplace(draft.body, -1);
      if (added) {
        if (auto found = RepeatedCharacters(draft.body, nullable)) {
          known->second = static_cast<int>(grammar->character_sets_.size());
          grammar->character_sets_.push_back(std::move(*found));
          bodies.push_back(renamed(draft.body));
        }
      }
      // A body that may be empty can always fill up a missing count.
      const bool empty_body = draft.body.is_rule() && nullable[static_cast<size_t>(draft.body.rule())];
      rule.alternatives.push_back(static_cast<uint32_t>(grammar->cells_.size()));
      grammar->cells_.push_back({.kind = Cell::Kind::kRepeat,
                                 .symbol = renamed(draft.body),
                                 .rule = rule_number,
                                 .min = empty_body ? 0 : draft.min,
                                 .max = draft.max,
                                 .characters = known->second});
      end();
    }
    for (const auto& alternative : draft.alternatives) {
      if (!IsProductive(alternative, productive)) continue;
      rule.alternatives.push_back(static_cast<uint32_t>(grammar->cells_.size()));
      for (const Symbol symbol : alternative) {
        grammar->cells_.push_back(
            {.kind = Cell::Kind::kSymbol, .symbol = renamed(symbol), .rule = rule_number});
      }
      end();
    }
    grammar->rules_.push_back(std::move(rule));
  }
  grammar->start_ = 0;
  for (size_t set = 0; set < bodies.size(); ++set) {
    auto& reachable = grammar->character_sets_[set].body_rules;
    reachable.assign(grammar->rules_.size(), false);
    if (!bodies[set].is_rule()) continue;
    std::vector<int> queue{bodies[set].rule()};
    reachable[static_cast<size_t>(queue[0])] = true;
    while (!queue.empty()) {
      const int rule = queue.back();
      queue.pop_back();
      for (const uint32_t alternative : grammar->rules_[static_cast<size_t>(rule)].alternatives) {
        for (size_t cell = alternative; grammar->cells_[cell].kind != Cell::Kind::kEnd; ++cell) {
          const Symbol symbol = grammar->cells_[cell].symbol;
          if (!symbol.is_rule() || reachable[static_cast<size_t>(symbol.rule())]) continue;
          reachable[static_cast<size_t>(symbol.rule())] = true;
          queue.push_back(symbol.rule());
        }
      }
    }
  }
  ClassifyBytes(*grammar);
  return std::shared_ptr<const Grammar>(std::move(grammar));
}

}  // namespace hone
