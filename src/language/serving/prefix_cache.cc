#include "language/serving/prefix_cache.h"

#include <algorithm>
#include <atomic>

namespace hone {

// Shared by a node and those who pin it: it outlives the node.
struct PrefixCache::Pin::Held {
  std::atomic<int64_t> count{0};
};

struct PrefixCache::Node {
  std::vector<TokenId> edge;  // whole blocks
  Node* parent = nullptr;
  std::map<Block, std::unique_ptr<Node>> children;  // by the first block of their edge
  std::optional<KvCache> cache;  // of all tokens from the root to here; none where a window let them go
  int64_t depth = 0;             // how many tokens that is
  uint64_t used = 0;
  std::shared_ptr<Pin::Held> held = std::make_shared<Pin::Held>();

  bool pinned() const { return held->count.load(std::memory_order_acquire) > 0; }
};

PrefixCache::Pin& PrefixCache::Pin::operator=(Pin&& other) noexcept {
  if (this != &other) {
    Release();
    held_ = std::move(other.held_);
    other.held_.reset();
  }
  return *this;
}

void PrefixCache::Pin::Release() {
  if (held_) held_->count.fetch_sub(1, std::memory_order_acq_rel);
  held_.reset();
}

namespace {

template <class Node, class F>
void ForEach(Node& node, F&& f) {
  f(node);
  for (auto& [block, child] : node.children) ForEach(*child, f);
}

int64_t BlocksInCommon(std::span<const TokenId> a, std::span<const TokenId> b) {
  const auto most = static_cast<int64_t>(std::min(a.size(), b.size())) / PrefixCache::kBlock;
  int64_t blocks = 0;
  while (blocks < most &&
         std::equal(a.begin() + blocks * PrefixCache::kBlock, a.begin() + (blocks + 1) * PrefixCache::kBlock,
                    b.begin() + blocks * PrefixCache::kBlock)) {
    ++blocks;
  }
  return blocks;
}

}  // namespace

PrefixCache::PrefixCache(int64_t most_nodes) : most_nodes_(most_nodes) {}
PrefixCache::~PrefixCache() = default;

// The deepest node whose tokens all match, how many tokens match, and, where an edge matches in part, its
// node.
PrefixCache::Node* PrefixCache::Descend(std::span<const TokenId> tokens, Node& root, int64_t& matched,
                                        Node*& partial) {
  Node* node = &root;
  partial = nullptr;
  matched = 0;
  while (static_cast<int64_t>(tokens.size()) - matched >= kBlock) {
    const auto rest = tokens.subspan(static_cast<size_t>(matched));
    const auto child = node->children.find(Block(rest.begin(), rest.begin() + kBlock));
    if (child == node->children.end()) return node;
    const int64_t common = BlocksInCommon(rest, child->second->edge) * kBlock;
    matched += common;
    if (common < static_cast<int64_t>(child->second->edge.size())) {
      partial = child->second.get();
      return node;
    }
    node = child->second.get();
  }
  return node;
}

// A fork that keeps the first `tokens`; none where the store cannot go back so far.
std::optional<KvCache> PrefixCache::Part(const Node& node, int64_t tokens) {
  if (!node.cache) return std::nullopt;
  auto fork = node.cache->Fork();
  if (!fork) return std::nullopt;
  if (tokens < node.depth && !fork->TruncateToPosition(static_cast<int32_t>(tokens))) return std::nullopt;
  return std::move(*fork);
}

std::optional<PrefixCache::Hit> PrefixCache::Find(std::span<const TokenId> tokens, int64_t most,
                                                  uint64_t made_by) {
  const std::lock_guard lock(mutex_);
  const auto root = roots_.find(made_by);
  if (root == roots_.end() || most <= 0) return std::nullopt;
  int64_t matched = 0;
  Node* partial = nullptr;
  Node* node = Descend(tokens, *root->second, matched, partial);
  matched = std::min(matched, most);
  if (partial == nullptr) partial = node;
  // From the deepest node that holds the whole match back towards the root.
  for (Node* from = partial; from != nullptr && matched > 0; from = from->parent) {
    matched = std::min(matched, from->depth);
    if (matched == 0) return std::nullopt;
    std::optional<KvCache> cache = Part(*from, matched);
    if (!cache) continue;
    for (Node* touched = from; touched != nullptr; touched = touched->parent) touched->used = ++clock_;
    Hit hit{matched, std::move(*cache), {}};
    from->held->count.fetch_add(1, std::memory_order_acq_rel);
    hit.pin.held_ = from->held;
    return hit;
  }
  return std::nullopt;
}

PrefixCache::Node* PrefixCache::Split(Node& child, int64_t blocks) {
  Node* parent = child.parent;
  const auto size = static_cast<std::ptrdiff_t>(blocks * kBlock);
  const Block key(child.edge.begin(), child.edge.begin() + kBlock);
  auto owned = std::move(parent->children.at(key));
  auto middle = std::make_unique<Node>();
  middle->parent = parent;
  middle->edge.assign(child.edge.begin(), child.edge.begin() + size);
  middle->depth = parent->depth + size;
  middle->cache = Part(child, middle->depth);
  middle->used = child.used;
  child.edge.erase(child.edge.begin(), child.edge.begin() + size);
  child.parent = middle.get();
  middle->children.emplace(Block(child.edge.begin(), child.edge.begin() + kBlock), std::move(owned));
  Node* result = middle.get();
  parent->children.at(key) = std::move(middle);
  ++nodes_;
  return result;
}

PrefixCache::Pin PrefixCache::Insert(std::span<const TokenId> tokens, const KvCache& cache,
                                     uint64_t made_by) {
  const auto whole = static_cast<int64_t>(tokens.size()) / kBlock * kBlock;
  if (whole == 0) return {};
  tokens = tokens.first(static_cast<size_t>(whole));
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Node>& root = roots_[made_by];
  if (!root) root = std::make_unique<Node>();
  int64_t matched = 0;
  Node* partial = nullptr;
  Node* node = Descend(tokens, *root, matched, partial);
  if (partial != nullptr) node = Split(*partial, (matched - node->depth) / kBlock);
  if (matched < whole) {
    auto fork = cache.Fork();
    if (!fork || !fork->TruncateToPosition(static_cast<int32_t>(whole))) return {};
    auto leaf = std::make_unique<Node>();
    leaf->parent = node;
    leaf->edge.assign(tokens.begin() + matched, tokens.end());
    leaf->depth = whole;
    leaf->cache = std::move(*fork);
    Node* added = leaf.get();
    node->children.emplace(Block(leaf->edge.begin(), leaf->edge.begin() + kBlock), std::move(leaf));
    ++nodes_;
    node = added;
  }
  for (Node* touched = node; touched != nullptr; touched = touched->parent) touched->used = ++clock_;
  Pin pin;
  node->held->count.fetch_add(1, std::memory_order_acq_rel);
  pin.held_ = node->held;
  Shrink();
  return pin;
}

std::vector<PrefixCache::Entry> PrefixCache::Leaves() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<uint64_t, Entry>> leaves;
  for (const auto& [made_by, root] : roots_) {
    ForEach(*root, [&, made_by = made_by](Node& node) {
      if (!node.children.empty() || !node.cache) return;
      auto fork = node.cache->Fork();
      if (!fork) return;
      std::vector<TokenId> tokens(static_cast<size_t>(node.depth));
      for (const Node* part = &node; part->parent != nullptr; part = part->parent) {
        std::copy(part->edge.begin(), part->edge.end(), tokens.begin() + part->parent->depth);
      }
      leaves.emplace_back(node.used, Entry{std::move(tokens), made_by, std::move(*fork)});
    });
  }
  std::sort(leaves.begin(), leaves.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Entry> entries;
  for (auto& [used, entry] : leaves) entries.push_back(std::move(entry));
  return entries;
}

void PrefixCache::Shrink() {
  while (nodes_ > most_nodes_ && EvictLocked()) {
  }
}

bool PrefixCache::EvictOne() {
  const std::lock_guard lock(mutex_);
  return EvictLocked();
}

bool PrefixCache::EvictLocked() {
  Node* oldest = nullptr;
  for (const auto& [made_by, root] : roots_) {
    ForEach(*root, [&](Node& node) {
      const bool leaf = node.parent != nullptr && node.children.empty() && !node.pinned();
      if (leaf && (oldest == nullptr || node.used < oldest->used)) oldest = &node;
    });
  }
  if (oldest == nullptr) return false;
  const Block key(oldest->edge.begin(), oldest->edge.begin() + kBlock);
  oldest->parent->children.erase(key);
  --nodes_;
  return true;
}

void PrefixCache::Clear() {
  const std::lock_guard lock(mutex_);
  roots_.clear();
  nodes_ = 0;
}

namespace {

// Tokens below and at `node` that nobody uses; a pinned node's ancestors are in use too.
template <class Node>
bool CountUnused(const Node& node, int64_t& unused) {
  bool used = node.pinned();
  for (const auto& [block, child] : node.children) used = CountUnused(*child, unused) || used;
  if (!used) unused += static_cast<int64_t>(node.edge.size());
  return used;
}

}  // namespace

int64_t PrefixCache::evictable_tokens() const {
  const std::lock_guard lock(mutex_);
  int64_t unused = 0;
  for (const auto& [made_by, root] : roots_) CountUnused(*root, unused);
  return unused;
}

int64_t PrefixCache::tokens() const {
  const std::lock_guard lock(mutex_);
  int64_t sum = 0;
  for (const auto& [made_by, root] : roots_) {
    ForEach(*root, [&](const Node& node) { sum += static_cast<int64_t>(node.edge.size()); });
  }
  return sum;
}

int64_t PrefixCache::nodes() const {
  const std::lock_guard lock(mutex_);
  return nodes_;
}

}  // namespace hone
