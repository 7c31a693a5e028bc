// Byte-pair encoding of one piece: merge the adjacent pair of lowest rank, the leftmost of equals, until none
// is left.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"

namespace hone {

inline constexpr uint32_t kNoRank = 0xFFFFFFFF;

// A run of the piece's bytes that is one token (or kNoToken: a character or byte the vocabulary lacks).
struct Symbol {
  uint32_t begin = 0;
  uint32_t length = 0;
  TokenId id = kNoToken;
  uint32_t rank = kNoRank;    // of the pair (this, next)
  TokenId merged = kNoToken;  // what that pair becomes
};

struct PairMerger {
  std::vector<Symbol> symbols;  // in: the piece's characters or bytes; out: its tokens, `count` of them

  // `rank_pair(symbol, next)` sets symbol.rank and symbol.merged for the pair, kNoRank where there is no
  // merge. O(n log n) in the number of symbols, O(n^2) below kShort where scanning beats a heap. Returns the
  // symbols left.
  template <class RankPair>
  size_t Merge(const RankPair& rank_pair) {
    const size_t count = symbols.size();
    for (size_t i = 0; i + 1 < count; ++i) rank_pair(symbols[i], symbols[i + 1]);
    if (count > 0) symbols[count - 1].rank = kNoRank;
    return count <= kShort ? MergeShort(rank_pair) : MergeLong(rank_pair);
  }

 private:
  static constexpr size_t kShort = 40;
  static constexpr int32_t kEnd = -1;

  std::vector<int32_t> previous_, next_;
  std::vector<uint64_t> heap_;  // rank << 32 | index of the left symbol, lowest first

  template <class RankPair>
  size_t MergeShort(const RankPair& rank_pair) {
    size_t count = symbols.size();
    while (true) {
      uint32_t best = kNoRank;
      size_t at = 0;
      for (size_t i = 0; i + 1 < count; ++i) {
        if (symbols[i].rank < best) {
          best = symbols[i].rank;
          at = i;
        }
      }
      if (best == kNoRank) return count;
      Absorb(symbols[at], symbols[at + 1]);
      std::move(symbols.begin() + at + 2, symbols.begin() + count, symbols.begin() + at + 1);
      --count;
      symbols[at].rank = kNoRank;
      if (at + 1 < count) rank_pair(symbols[at], symbols[at + 1]);
      if (at > 0) rank_pair(symbols[at - 1], symbols[at]);
    }
  }

  template <class RankPair>
  size_t MergeLong(const RankPair& rank_pair) {
    const size_t count = symbols.size();
    previous_.resize(count);
    next_.resize(count);
    heap_.clear();
    for (size_t i = 0; i < count; ++i) {
      previous_[i] = static_cast<int32_t>(i) - 1;
      next_[i] = i + 1 < count ? static_cast<int32_t>(i + 1) : kEnd;
      if (symbols[i].rank != kNoRank) heap_.push_back(Key(symbols[i].rank, i));
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto rank_again = [&](int32_t left) {
      const int32_t right = next_[left];
      symbols[left].rank = kNoRank;
      if (right == kEnd) return;
      rank_pair(symbols[left], symbols[right]);
      if (symbols[left].rank == kNoRank) return;
      heap_.push_back(Key(symbols[left].rank, left));
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    };
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      const uint64_t key = heap_.back();
      heap_.pop_back();
      const int32_t left = static_cast<int32_t>(key & 0xFFFFFFFF);
      if (symbols[left].length == 0 || symbols[left].rank != static_cast<uint32_t>(key >> 32))
        continue;  // outdated
      const int32_t right = next_[left];
      Absorb(symbols[left], symbols[right]);
      symbols[right].length = 0;
      next_[left] = next_[right];
      if (next_[left] != kEnd) previous_[next_[left]] = left;
      rank_again(left);
      if (previous_[left] != kEnd) rank_again(previous_[left]);
    }
    const auto gone =
        std::remove_if(symbols.begin(), symbols.end(), [](const Symbol& s) { return s.length == 0; });
    return static_cast<size_t>(gone - symbols.begin());
  }

  static uint64_t Key(uint32_t rank, size_t left) { return (static_cast<uint64_t>(rank) << 32) | left; }
  static void Absorb(Symbol& left, const Symbol& right) {
    left.length += right.length;
    left.id = left.merged;
  }
};

}  // namespace hone
