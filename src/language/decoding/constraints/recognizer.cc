#include "language/decoding/constraints/recognizer.h"

#include <algorithm>

namespace hone {

Recognizer::Recognizer(std::shared_ptr<const Grammar> grammar, uint32_t horizon)
    : grammar_(std::move(grammar)), horizon_(horizon) {
  for (const uint32_t first : grammar_->rules()[static_cast<size_t>(grammar_->start())].alternatives) {
    AddItem({.position = first, .goal = grammar_->start()});
  }
  start_ = Close(grammar_->rules()[static_cast<size_t>(grammar_->start())].nullable);
}

void Recognizer::AddItem(const Item& item) {
  if (items_.size() >= kMaximumItems) return;
  if (slots_.size() < 2 * (items_.size() + 1)) {
    const size_t size = std::max<size_t>(64, 4 * slots_.size());
    slots_.assign(size, 0);
    stamps_.assign(size, 0);
    stamp_ = 1;
    for (uint32_t i = 0; i < items_.size(); ++i) {
      size_t at = ItemHash()(items_[i]) & (size - 1);
      while (stamps_[at] == stamp_) at = (at + 1) & (size - 1);
      stamps_[at] = stamp_;
      slots_[at] = i;
    }
  }
  const size_t mask = slots_.size() - 1;
  size_t at = ItemHash()(item) & mask;
  while (stamps_[at] == stamp_) {
    if (items_[slots_[at]] == item) return;
    at = (at + 1) & mask;
  }
  stamps_[at] = stamp_;
  slots_[at] = static_cast<uint32_t>(items_.size());
  items_.push_back(item);
}

Recognizer::State Recognizer::Close(bool accepts) {
  new_kernel_.clear();
  new_scans_.clear();
  new_waits_.clear();
  new_accepts_ = accepts;
  for (size_t i = 0; i < items_.size(); ++i) Expand(Item(items_[i]));
  items_.clear();
  if (++stamp_ == 0) {
    std::fill(stamps_.begin(), stamps_.end(), 0);
    stamp_ = 1;
  }
  if (new_kernel_.empty() && new_scans_.empty() && !new_accepts_) return kDead;
  return Intern(new_accepts_);
}

void Recognizer::Expand(const Item& item) {
  const Grammar::Cell& at = cell(item.position);
  switch (at.kind) {
    case Grammar::Cell::Kind::kEnd:
      return Complete(item);
    case Grammar::Cell::Kind::kRepeat:
      return ExpandRepeat(item, at);
    case Grammar::Cell::Kind::kSymbol:
      break;
  }
  if (item.origin != kSelf) new_kernel_.push_back(item);
  Item next = item;
  ++next.position;
  const bool tail = cell(next.position).kind == Grammar::Cell::Kind::kEnd;
  Expect(at.symbol, next, tail, item);
  // A rule that may be empty was empty.
  if (at.symbol.is_rule() && grammar_->rules()[static_cast<size_t>(at.symbol.rule())].nullable) AddItem(next);
}

Recognizer::Item Recognizer::Counted(const Item& item) const {
  const Grammar::Cell& repeat = cell(item.position);
  Item next = item;
  ++next.count;
  if (repeat.max == kUnbounded) next.count = std::min(next.count, repeat.min);
  return next;
}

void Recognizer::ExpandRepeat(const Item& item, const Grammar::Cell& repeat) {
  if (item.count >= repeat.min) Complete(item);
  if (item.count >= repeat.max) return;
  if (item.origin != kSelf) new_kernel_.push_back(item);
  const bool tail = repeat.max != kUnbounded && item.count + 1 == repeat.max;
  Expect(repeat.symbol, Counted(item), tail, item);
}

void Recognizer::Expect(Symbol symbol, const Item& next, bool tail, const Item& item) {
  if (!symbol.is_rule()) {
    new_scans_.push_back({symbol.bytes(), next});
    return;
  }
  const auto& alternatives = grammar_->rules()[static_cast<size_t>(symbol.rule())].alternatives;
  if (tail && item.origin != kSelf) {
    for (const uint32_t first : alternatives) {
      AddItem({.position = first, .goal = item.goal, .origin = item.origin});
    }
    return;
  }
  new_waits_.push_back({symbol.rule(), next});
  for (const uint32_t first : alternatives) AddItem({.position = first, .goal = symbol.rule()});
}

void Recognizer::Complete(const Item& item) {
  if (item.origin == kSelf) return;  // empty: whoever waits has gone on already
  if (item.origin == start_ && item.goal == grammar_->start()) new_accepts_ = true;
  const Node& origin = nodes_[static_cast<size_t>(item.origin)];
  const auto end = waits_.begin() + origin.waits.end;
  auto wait = std::lower_bound(waits_.begin() + origin.waits.begin, end, Wait{item.goal, {}});
  for (; wait != end && wait->rule == item.goal; ++wait) {
    Item next = wait->next;
    if (next.origin == kSelf) next.origin = item.origin;
    AddItem(next);
  }
}

Recognizer::State Recognizer::Intern(bool accepts) {
  std::sort(new_kernel_.begin(), new_kernel_.end());
  uint64_t hash = accepts ? 1 : 0;
  for (const Item& item : new_kernel_) hash = hash * 0x9e3779b97f4a7c15u + ItemHash()(item);
  // The start's kernel is empty as no other state's is.
  const auto [first, last] = index_.equal_range(hash);
  for (auto found = first; found != last; ++found) {
    const Node& node = nodes_[static_cast<size_t>(found->second)];
    if (node.accepts == accepts &&
        std::equal(new_kernel_.begin(), new_kernel_.end(), kernels_.begin() + node.kernel.begin,
                   kernels_.begin() + node.kernel.end) &&
        found->second != start_) {
      return found->second;
    }
  }
  const auto append = [](auto& to, const auto& from) {
    const auto begin = static_cast<uint32_t>(to.size());
    to.insert(to.end(), from.begin(), from.end());
    return Slice{begin, static_cast<uint32_t>(to.size())};
  };
  std::stable_sort(new_waits_.begin(), new_waits_.end());
  Node node;
  node.accepts = accepts;
  node.kernel = append(kernels_, new_kernel_);
  node.scans = append(scans_, new_scans_);
  node.waits = append(waits_, new_waits_);
  const auto state = static_cast<State>(nodes_.size());
  nodes_.push_back(node);
  index_.emplace(hash, state);
  return state;
}

Recognizer::State Recognizer::Step(State state, uint8_t byte) {
  if (state == kDead) return kDead;
  const Slice scans = nodes_[static_cast<size_t>(state)].scans;
  const auto& sets = grammar_->byte_sets();
  for (uint32_t i = scans.begin; i < scans.end; ++i) {
    const Scan& scan = scans_[i];
    if (!sets[static_cast<size_t>(scan.bytes)].Has(byte)) continue;
    Item next = scan.next;
    if (next.origin == kSelf) next.origin = state;
    AddItem(next);
  }
  if (items_.empty()) return kDead;
  return Close(false);
}

Recognizer::State Recognizer::StepCached(State state, uint8_t byte) {
  if (state == kDead) return kDead;
  const auto classes = static_cast<size_t>(grammar_->byte_classes());
  Node& node = nodes_[static_cast<size_t>(state)];
  if (node.steps < 0) {
    node.steps = static_cast<int32_t>(steps_.size() / classes);
    steps_.resize(steps_.size() + classes, kUnknown);
  }
  const size_t at =
      static_cast<size_t>(node.steps) * classes + static_cast<size_t>(grammar_->ByteClass(byte));
  if (steps_[at] == kUnknown) {
    const State next = Step(state, byte);
    steps_[at] = next;
  }
  return steps_[at];
}

Recognizer::State Recognizer::Folded(State state) {
  if (state == kDead) return kDead;
  if (nodes_[static_cast<size_t>(state)].folded != kUnknown) return nodes_[static_cast<size_t>(state)].folded;
  // Origins first, without recursion: stacks may be deep.
  std::vector<State> path{state};
  while (!path.empty()) {
    const State at = path.back();
    const Slice kernel = nodes_[static_cast<size_t>(at)].kernel;
    bool ready = true;
    for (uint32_t i = kernel.begin; i < kernel.end; ++i) {
      const State origin = kernels_[i].origin;
      if (origin != at && nodes_[static_cast<size_t>(origin)].folded == kUnknown) {
        path.push_back(origin);
        ready = false;
      }
    }
    if (!ready) continue;
    path.pop_back();
    if (nodes_[static_cast<size_t>(at)].folded != kUnknown) continue;
    bool same = true;
    std::vector<Item> folded;
    for (uint32_t i = kernel.begin; i < kernel.end; ++i) {
      Item item = kernels_[i];
      item.origin = nodes_[static_cast<size_t>(item.origin)].folded;
      const Grammar::Cell& repeat = cell(item.position);
      if (repeat.kind == Grammar::Cell::Kind::kRepeat) {
        const uint64_t ahead = uint64_t{item.count} + horizon_;
        if (ahead < repeat.min) {
          item.count = 0;
        } else if (item.count >= repeat.min && (repeat.max == kUnbounded || ahead < repeat.max)) {
          item.count = repeat.min;
        }
      }
      same = same && item == kernels_[i];
      folded.push_back(item);
    }
    State result = at;
    if (!same) {
      for (const Item& item : folded) AddItem(item);
      result = Close(nodes_[static_cast<size_t>(at)].accepts);
      nodes_[static_cast<size_t>(result)].folded = result;
    }
    nodes_[static_cast<size_t>(at)].folded = result;
  }
  return nodes_[static_cast<size_t>(state)].folded;
}

ByteSet Recognizer::NextBytes(State state) const {
  ByteSet bytes;
  if (state == kDead) return bytes;
  const Slice scans = nodes_[static_cast<size_t>(state)].scans;
  for (uint32_t i = scans.begin; i < scans.end; ++i) {
    bytes |= grammar_->byte_sets()[static_cast<size_t>(scans_[i].bytes)];
  }
  return bytes;
}

Recognizer::CharacterRun Recognizer::Run(State state) {
  if (const auto known = runs_.find(state); known != runs_.end()) return known->second;
  CharacterRun run;
  Item repeat;
  const Node& node = nodes_[static_cast<size_t>(state)];
  const auto consider = [&](Item next) {
    // `next` is what the repetition becomes after one more character.
    const Grammar::Cell& at = cell(next.position);
    if (at.kind != Grammar::Cell::Kind::kRepeat || at.characters < 0) return;
    const uint32_t left = at.max == kUnbounded ? kUnbounded : at.max - next.count + 1;
    if (run.set >= 0 && left <= run.left) return;
    run.set = at.characters;
    run.left = left;
    repeat = next;
  };
  for (uint32_t i = node.waits.begin; i < node.waits.end; ++i) consider(waits_[i].next);
  for (uint32_t i = node.scans.begin; i < node.scans.end; ++i) consider(scans_[i].next);
  if (run.set >= 0 && run.left != kUnbounded) run.exclusive = IsExclusive(state, repeat);
  runs_.emplace(state, run);
  return run;
}

bool Recognizer::IsExclusive(State state, const Item& repeat) {
  const Grammar::CharacterSet& characters =
      grammar_->character_sets()[static_cast<size_t>(cell(repeat.position).characters)];
  const auto in_body = [&](const Item& item) {
    return static_cast<bool>(characters.body_rules[static_cast<size_t>(cell(item.position).rule)]);
  };
  const auto may_begin = [&](int32_t bytes) {
    return grammar_->byte_sets()[static_cast<size_t>(bytes)].Intersects(characters.first_bytes);
  };
  // Nothing but this one repetition, from its body's very beginning, may take such a character.
  const Node node = nodes_[static_cast<size_t>(state)];
  for (uint32_t i = node.scans.begin; i < node.scans.end; ++i) {
    const Scan& scan = scans_[i];
    if (scan.next == repeat) continue;
    if (in_body(scan.next) && scan.next.origin == kSelf) continue;
    if (may_begin(scan.bytes)) return false;
  }
  const Symbol body = cell(repeat.position).symbol;
  for (uint32_t i = node.waits.begin; i < node.waits.end; ++i) {
    const Wait& wait = waits_[i];
    if (wait.next == repeat || !characters.body_rules[static_cast<size_t>(wait.rule)]) continue;
    if (!in_body(wait.next) || wait.next.origin != kSelf || body == Symbol::Rule(wait.rule)) return false;
  }
  // And once it is full, nor may what follows it.
  Item full = repeat;
  full.count = cell(repeat.position).max;
  if (full.origin == kSelf) full.origin = state;
  AddItem(full);
  const State after = Close(false);
  if (after == kDead) return true;
  const Slice scans = nodes_[static_cast<size_t>(after)].scans;
  for (uint32_t i = scans.begin; i < scans.end; ++i) {
    if (may_begin(scans_[i].bytes)) return false;
  }
  return true;
}

size_t Recognizer::memory() const {
  return nodes_.size() * (sizeof(Node) + 48) + kernels_.size() * sizeof(Item) + scans_.size() * sizeof(Scan) +
         waits_.size() * sizeof(Wait) + steps_.size() * sizeof(State) + runs_.size() * 32;
}

}  // namespace hone
