// Tokens by their bytes, for walking all of them at once: what begins with a forbidden byte is left out
// whole.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"

namespace hone {

class TokenTrie {
 public:
  // In preorder: the nodes below a node follow it, up to `end`.
  struct Node {
    uint32_t end = 0;
    uint32_t first_token = 0;  // into tokens(): those that are spelled out here
    uint16_t token_count = 0;
    uint8_t byte = 0;
    uint8_t unused = 0;
    uint32_t depth = 0;  // bytes above
  };

  TokenTrie() = default;
  // The spellings are not empty and sorted.
  explicit TokenTrie(const std::vector<std::pair<std::string_view, TokenId>>& sorted);

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<TokenId>& tokens() const { return tokens_; }
  uint32_t depth() const { return depth_; }  // bytes of the longest spelling

  // Calls step(state, byte) -> state from the root on and allow(id) for each token whose bytes all lead on;
  // `dead` is the state that leads nowhere. `stack` is scratch.
  template <class State, class Step, class Allow>
  void Walk(State root, State dead, std::vector<State>& stack, Step&& step, Allow&& allow) const {
    stack.resize(depth_ + 1);
    stack[0] = root;
    const auto count = static_cast<uint32_t>(nodes_.size());
    for (uint32_t i = 0; i < count;) {
      const Node& node = nodes_[i];
      const State next = step(stack[node.depth], node.byte);
      if (next == dead) {
        i = node.end;
        continue;
      }
      stack[node.depth + 1] = next;
      for (uint32_t t = 0; t < node.token_count; ++t) allow(tokens_[node.first_token + t]);
      ++i;
    }
  }

  // The node that `bytes` lead to, or -1.
  int64_t Find(std::string_view bytes) const;

 private:
  std::vector<Node> nodes_;
  std::vector<TokenId> tokens_;
  uint32_t depth_ = 0;
};

}  // namespace hone
