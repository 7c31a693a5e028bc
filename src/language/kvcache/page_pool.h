// Memory for cached keys and values, dealt in pages: blocks of a power of two of bytes, each for one layer
// and KV head, reference-counted so that sequences share what they have in common.
#pragma once

#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "core/base/memory_account.h"

namespace hone {

class PagePool;

// A counted reference to one page; the page goes back to its pool with the last one. Pages keep their pool
// alive. Different references to one page may be used from different threads.
class PageRef {
 public:
  PageRef() = default;
  PageRef(const PageRef& other);
  PageRef(PageRef&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  PageRef& operator=(PageRef other) noexcept {
    std::swap(page_, other.page_);
    return *this;
  }
  ~PageRef();

  explicit operator bool() const { return page_ != nullptr; }
  std::byte* data() const;
  uint64_t size() const;
  bool shared() const;  // somebody else holds it too: copy before writing

 private:
  friend class PagePool;
  struct Page;
  Page* page_ = nullptr;
};

// Thread-safe. Buddy allocation: a block can be halved. Drawn from an account in chunks that go back when
// they are empty. Blocks are taken from the oldest chunk that has a small enough one, so that younger chunks
// run empty. Contents of a new page are arbitrary.
class PagePool : public std::enable_shared_from_this<PagePool> {
 public:
  static constexpr uint64_t kSmallestPage = 256;
  // What is drawn from the account at once, unless a page is larger, or the limit or what is left in the
  // account smaller.
  static constexpr uint64_t kChunk = 2 << 20;

  // `limit` bounds the bytes of all pages together (rounded up to powers of two).
  static std::shared_ptr<PagePool> Create(MemoryAccount& account, uint64_t limit = MemoryAccount::kUnlimited);

  // One page for each size, all or none. Sizes are rounded up to powers of two. The error (kFailed) names the
  // limit, what is in use and what was asked for.
  Result<std::vector<PageRef>> Reserve(std::span<const uint64_t> sizes);

  uint64_t used() const { return used_.load(std::memory_order_relaxed); }  // bytes of pages that are held
  uint64_t limit() const { return limit_; }

 private:
  friend class PageRef;

  struct Block {
    uint64_t chunk = 0;
    uint64_t offset = 0;
    auto operator<=>(const Block&) const = default;
  };
  static constexpr int kOrders = 56;  // block sizes kSmallestPage << order

  PagePool(MemoryAccount& account, uint64_t limit) : account_(account), limit_(limit) {}
  Result<void> TakeAll(std::span<const uint64_t> sizes, std::vector<PageRef>& pages);
  Result<Block> Take(int order);
  Result<Block> DrawChunk(int order);
  void Put(Block block, int order);
  void Return(PageRef::Page* page);

  MemoryAccount& account_;
  const uint64_t limit_;
  std::atomic<uint64_t> used_{0};
  std::mutex mutex_;  // guards what follows, and changes of used_
  uint64_t next_chunk_ = 0;
  std::map<uint64_t, Buffer> chunks_;
  std::array<std::set<Block>, kOrders> free_;
};

}  // namespace hone
