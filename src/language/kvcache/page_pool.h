// Memory for cached keys and values, dealt in pages: blocks of a power of two of bytes, each for one layer and KV head,
// reference-counted so that sequences share what they have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/memory_account.h"

namespace hone {

class PagePool;

// A counted reference to one page; the page goes back to its pool with the last one.
class PageRef {
 public:
  PageRef() = default;
  PageRef(const PageRef& other);
  PageRef(PageRef&& other) noexcept;
  PageRef& operator=(PageRef other) noexcept;
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

// Thread-safe. Buddy allocation: a block can be halved. Drawn from an account in chunks that go back when they are empty.
class PagePool : public std::enable_shared_from_this<PagePool> {
 public:
  static constexpr uint64_t kSmallestPage = 256;

  // `limit` bounds the bytes of all pages together (rounded up to powers of two).
  static std::shared_ptr<PagePool> Create(MemoryAccount& account, uint64_t limit = MemoryAccount::kUnlimited);

  // One page for each size, all or none. Sizes are rounded up to powers of two. The error names the limit, what is in use
  // and what was asked for.
  Result<std::vector<PageRef>> Reserve(std::span<const uint64_t> sizes);

  uint64_t used() const;  // bytes of pages that are held
  uint64_t limit() const;
};

}  // namespace hone
