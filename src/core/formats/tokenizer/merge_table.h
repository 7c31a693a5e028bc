// The merges of a byte-pair encoding: (left id, right id) -> rank and merged id, in one open-addressing
// table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"

namespace hone {

class MergeTable {
 public:
  struct Merge {
    TokenId left = kNoToken;
    TokenId right = kNoToken;
    uint32_t rank = 0;  // the lowest rank merges first
    TokenId merged = kNoToken;
  };

  void Reserve(size_t merges);
  // The first merge of a pair stays. Not more than were reserved.
  void Add(const Merge& merge);
  bool empty() const { return count_ == 0; }
  size_t Footprint() const { return slots_.capacity() * sizeof(Merge); }

  const Merge* Find(TokenId left, TokenId right) const {
    if (slots_.empty()) return nullptr;
    for (size_t at = Hash(left, right) & mask_;; at = (at + 1) & mask_) {
      const Merge& slot = slots_[at];
      if (slot.left == left && slot.right == right) return &slot;
      if (slot.left == kNoToken) return nullptr;
    }
  }

 private:
  static size_t Hash(TokenId left, TokenId right) {
    uint64_t key = (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
    key *= 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio: spreads neighbouring ids
    return static_cast<size_t>(key ^ (key >> 29));
  }

  std::vector<Merge> slots_;
  size_t mask_ = 0;
  size_t count_ = 0;
};

}  // namespace hone
