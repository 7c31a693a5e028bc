// Which bytes may come next: an Earley recognizer whose sets are shared, numbered states.
//
// Source: Earley, An Efficient Context-Free Parsing Algorithm (CACM 13(2), 1970), with nullable rules as in
// Aycock and Horspool, Practical Earley Parsing (The Computer Journal 45(6), 2002). Three changes make the
// sets into states that recur, so that whatever is computed of one (steps, token masks) is kept:
//   - an item's origin is the number of the state it began in, and equal sets of items get the same number,
//   so
//     the sets form a graph of stacks rather than a list over positions;
//   - an item that would complete as soon as its last symbol does hands its own return address to that symbol
//     (a tail call; the effect of Leo's 1991 treatment of right recursion), so lists do not grow stacks;
//   - a repetition is one item with a counter; counters without an upper bound stop at the lower one.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "language/decoding/constraints/grammar.h"

namespace hone {

class Recognizer {
 public:
  using State = int32_t;
  static constexpr State kDead = -1;

  // `horizon`: how many bytes ahead Folded() states tell the truth.
  Recognizer(std::shared_ptr<const Grammar> grammar, uint32_t horizon);

  State start() const { return start_; }
  // The state after one more byte, or kDead.
  State Step(State state, uint8_t byte);
  // The same, remembered: for states from which many bytes are tried.
  State StepCached(State state, uint8_t byte);
  // Whether what was read is a sentence.
  bool Accepts(State state) const { return nodes_[static_cast<size_t>(state)].accepts; }
  // A state that treats the next `horizon` bytes as this one does. All states that differ in counters which
  // are far from their bounds fold into one.
  State Folded(State state);
  // Bytes that can come next.
  ByteSet NextBytes(State state) const;

  // What a state knows of a repetition of single characters that it stands in: any `left` more characters of
  // the set may follow.
  struct CharacterRun {
    int set = -1;            // index into Grammar::character_sets; -1: it stands in none
    uint32_t left = 0;       // kUnbounded: any number
    bool exclusive = false;  // more than `left` of them never may
  };
  CharacterRun Run(State state);

  const Grammar& grammar() const { return *grammar_; }
  size_t states() const { return nodes_.size(); }
  // Rough size of everything remembered, in bytes.
  size_t memory() const;

 private:
  // position: a cell; count: of a repetition; an item completes rule `goal`, begun in state `origin`.
  struct Item {
    uint32_t position = 0;
    uint32_t count = 0;
    int32_t goal = 0;
    State origin = kSelf;
    auto operator<=>(const Item&) const = default;
  };
  static constexpr State kSelf = -2;     // the state that the item is in
  static constexpr State kUnknown = -3;  // not computed yet
  // Items that one state may hold; what an absurdly ambiguous grammar has beyond them is forgotten, which
  // forbids some sentences but never allows a wrong one.
  static constexpr size_t kMaximumItems = 20'000;

  struct Scan {
    int32_t bytes = 0;
    Item next;
  };
  struct Wait {
    int32_t rule = 0;
    Item next;
    bool operator<(const Wait& other) const { return rule < other.rule; }
  };
  struct Slice {
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  struct Node {
    Slice kernel;  // unfinished items that began elsewhere, sorted: with `accepts`, what the state is
    Slice scans;
    Slice waits;  // sorted by rule
    bool accepts = false;
    State folded = kUnknown;
    int32_t steps = -1;  // row of steps_
  };

  struct ItemHash {
    size_t operator()(const Item& item) const {
      uint64_t hash = item.position * 0x9e3779b97f4a7c15u;
      hash = (hash ^ item.count) * 0xbf58476d1ce4e5b9u;
      hash = (hash ^ static_cast<uint32_t>(item.goal)) * 0x94d049bb133111ebu;
      hash = (hash ^ static_cast<uint32_t>(item.origin)) * 0x9e3779b97f4a7c15u;
      return static_cast<size_t>(hash ^ (hash >> 29));
    }
  };

  const Grammar::Cell& cell(uint32_t position) const { return grammar_->cells()[position]; }
  // The closure of `items_` becomes a state.
  State Close(bool accepts);
  void AddItem(const Item& item);
  void Expand(const Item& item);
  void ExpandRepeat(const Item& item, const Grammar::Cell& repeat);
  void Expect(Symbol symbol, const Item& next, bool tail, const Item& item);
  void Complete(const Item& item);
  State Intern(bool accepts);
  Item Counted(const Item& item) const;
  bool IsExclusive(State state, const Item& repeat);

  std::shared_ptr<const Grammar> grammar_;
  uint32_t horizon_;
  State start_ = kDead;
  std::vector<Node> nodes_;
  std::vector<Item> kernels_;
  std::vector<Scan> scans_;
  std::vector<Wait> waits_;
  std::vector<State> steps_;  // [row, byte class]
  std::unordered_multimap<uint64_t, State> index_;
  std::unordered_map<State, CharacterRun> runs_;

  // The state under construction.
  std::vector<Item> items_;
  std::vector<uint32_t> slots_;  // open addressing over items_, for what is there already
  std::vector<uint32_t> stamps_;
  uint32_t stamp_ = 0;
  std::vector<Item> new_kernel_;
  std::vector<Scan> new_scans_;
  std::vector<Wait> new_waits_;
  bool new_accepts_ = false;
};

}  // namespace hone
