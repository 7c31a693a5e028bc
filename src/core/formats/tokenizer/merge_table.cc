#include "core/formats/tokenizer/merge_table.h"

#include <algorithm>
#include <bit>

namespace hone {

void MergeTable::Reserve(size_t merges) {
  slots_.assign(std::bit_ceil(std::max<size_t>(16, merges + merges / 2)), Merge{});
  mask_ = slots_.size() - 1;
  count_ = 0;
}

void MergeTable::Add(const Merge& merge) {
  size_t at = Hash(merge.left, merge.right) & mask_;
  while (slots_[at].left != kNoToken) {
    if (slots_[at].left == merge.left && slots_[at].right == merge.right) return;
    at = (at + 1) & mask_;
  }
  slots_[at] = merge;
  ++count_;
}

}  // namespace hone
