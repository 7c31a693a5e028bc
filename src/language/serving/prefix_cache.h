// What earlier prompts and answers left in the page pool, for prompts that begin with the same tokens: a
// radix tree over blocks of tokens (Zheng et al., SGLang's RadixAttention, arXiv 2312.07104). A node holds a
// fork of the cache that wrote it, so nodes share pages with each other and with running sequences, and a
// prefix hit has the very bits that reading the prompt again would give.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"
#include "language/kvcache/kv_cache.h"

namespace hone {

// Thread-safe.
class PrefixCache {
 public:
  // Prefixes are shared in whole blocks, one tile of a store, so that no page is written by two sequences.
  static constexpr int64_t kBlock = 32;

  // Keeps a prefix from being evicted, which would free nothing while a sequence uses its pages.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept { *this = std::move(other); }
    Pin& operator=(Pin&& other) noexcept;
    ~Pin() { Release(); }
    void Release();

   private:
    friend class PrefixCache;
    struct Held;
    std::shared_ptr<Held> held_;
  };

  struct Hit {
    int64_t tokens = 0;  // how many of the prompt's the cache holds
    KvCache cache;
    Pin pin;
  };

  // `most_nodes`: the oldest go beyond that.
  explicit PrefixCache(int64_t most_nodes = 4096);
  ~PrefixCache();

  // The longest prefix of `tokens` that is there, at most `most` tokens. `made_by`: what else the entries
  // depend on (numeric mode, plan, adapter, the set of rotations); only equal ones match.
  std::optional<Hit> Find(std::span<const TokenId> tokens, int64_t most, uint64_t made_by);
  // `cache` holds the entries of `tokens`, all written. Only whole blocks are kept.
  Pin Insert(std::span<const TokenId> tokens, const KvCache& cache, uint64_t made_by);

  // A prefix that is no other's beginning.
  struct Entry {
    std::vector<TokenId> tokens;
    uint64_t made_by = 0;
    KvCache cache;
  };
  // All of them, the last used first; where a window let entries go there is none.
  std::vector<Entry> Leaves() const;

  // Drops the prefix that was not used for longest among those that are no other's beginning and not pinned;
  // false: there is none.
  bool EvictOne();
  void Clear();

  // Tokens whose pages eviction would free.
  int64_t evictable_tokens() const;
  int64_t tokens() const;  // of all nodes
  int64_t nodes() const;

 private:
  struct Node;
  using Block = std::vector<TokenId>;
  Node* Descend(std::span<const TokenId> tokens, Node& root, int64_t& matched, Node*& partial);
  Node* Split(Node& child, int64_t blocks);
  void Shrink();
  bool EvictLocked();
  static std::optional<KvCache> Part(const Node& node, int64_t tokens);

  mutable std::mutex mutex_;
  std::map<uint64_t, std::unique_ptr<Node>> roots_;  // by made_by
  int64_t most_nodes_;
  int64_t nodes_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace hone
