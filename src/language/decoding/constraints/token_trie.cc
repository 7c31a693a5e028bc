#include "language/decoding/constraints/token_trie.h"

#include <algorithm>

namespace hone {

TokenTrie::TokenTrie(const std::vector<std::pair<std::string_view, TokenId>>& sorted) {
  std::vector<uint32_t> open;  // the nodes of the last spelling, from the root down
  std::string_view last;
  const auto close = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back())
      nodes_[open.back()].end = static_cast<uint32_t>(nodes_.size());
  };
  for (const auto& [bytes, id] : sorted) {
    size_t shared = 0;
    while (shared < last.size() && shared < bytes.size() && last[shared] == bytes[shared]) ++shared;
    close(shared);
    for (size_t depth = shared; depth < bytes.size(); ++depth) {
      open.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({.first_token = static_cast<uint32_t>(tokens_.size()),
                        .byte = static_cast<uint8_t>(bytes[depth]),
                        .depth = static_cast<uint32_t>(depth)});
    }
    tokens_.push_back(id);
    ++nodes_[open.back()].token_count;
    depth_ = std::max(depth_, static_cast<uint32_t>(bytes.size()));
    last = bytes;
  }
  close(0);
}

int64_t TokenTrie::Find(std::string_view bytes) const {
  int64_t at = -1;
  size_t begin = 0, end = nodes_.size();
  for (const char byte : bytes) {
    while (begin < end && nodes_[begin].byte != static_cast<uint8_t>(byte)) begin = nodes_[begin].end;
    if (begin >= end) return -1;
    at = static_cast<int64_t>(begin);
    end = nodes_[begin].end;
    ++begin;
  }
  return at;
}

}  // namespace hone
