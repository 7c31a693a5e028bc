#include "language/kvcache/page_pool.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace hone {
namespace {

constexpr uint64_t kLargestPage = uint64_t{1} << 62;

uint64_t RoundUp(uint64_t size) { return std::bit_ceil(std::max(size, PagePool::kSmallestPage)); }

int OrderOf(uint64_t rounded) { return std::countr_zero(rounded / PagePool::kSmallestPage); }

uint64_t SizeOf(int order) { return PagePool::kSmallestPage << order; }

}  // namespace

struct PageRef::Page {
  std::atomic<uint32_t> holders{1};
  std::byte* data = nullptr;
  uint64_t size = 0;
  PagePool::Block block;
  std::shared_ptr<PagePool> pool;
};

PageRef::PageRef(const PageRef& other) : page_(other.page_) {
  if (page_ != nullptr) page_->holders.fetch_add(1, std::memory_order_relaxed);
}

PageRef::~PageRef() {
  if (page_ == nullptr || page_->holders.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::shared_ptr<PagePool> pool = page_->pool;  // may be the last to hold the pool
  pool->Return(page_);
}

std::byte* PageRef::data() const { return page_ == nullptr ? nullptr : page_->data; }
uint64_t PageRef::size() const { return page_ == nullptr ? 0 : page_->size; }
bool PageRef::shared() const {
  return page_ != nullptr && page_->holders.load(std::memory_order_acquire) > 1;
}

std::shared_ptr<PagePool> PagePool::Create(MemoryAccount& account, uint64_t limit) {
  return std::shared_ptr<PagePool>(new PagePool(account, limit));
}

Result<std::vector<PageRef>> PagePool::Reserve(std::span<const uint64_t> sizes) {
  uint64_t total = 0;
  for (uint64_t size : sizes) {
    const bool fits = size <= kLargestPage && RoundUp(size) <= std::numeric_limits<uint64_t>::max() - total;
    if (!fits)
      return Failed("memory: {}: a page of {} bytes wanted, {} of {} in use", account_.name(), size, used(),
                    limit_);
    total += RoundUp(size);
  }
  std::vector<PageRef> pages(sizes.size());
  Result<void> taken = [&]() -> Result<void> {
    const std::lock_guard lock(mutex_);
    if (total > limit_ - used()) {
      return Failed("memory: {}: {} bytes in {} pages wanted, {} of {} in use", account_.name(), total,
                    sizes.size(), used(), limit_);
    }
    return TakeAll(sizes, pages);
  }();
  if (!taken) return tl::unexpected(std::move(taken).error());
  return pages;
}

// Large pages first, so that they are not cut off by small ones. The lock is held.
Result<void> PagePool::TakeAll(std::span<const uint64_t> sizes, std::vector<PageRef>& pages) {
  std::vector<uint32_t> by_size(sizes.size());
  std::iota(by_size.begin(), by_size.end(), 0);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](uint32_t a, uint32_t b) { return sizes[a] > sizes[b]; });
  std::vector<std::pair<Block, int>> blocks;
  blocks.reserve(sizes.size());
  for (uint32_t i : by_size) {
    const int order = OrderOf(RoundUp(sizes[i]));
    const Result<Block> block = Take(order);
    if (!block) {
      for (const auto& [taken, taken_order] : blocks) Put(taken, taken_order);
      return Failed("{}; {} pages wanted, {} bytes of pages in use", block.error().message, sizes.size(),
                    used());
    }
    blocks.emplace_back(*block, order);
  }
  const std::shared_ptr<PagePool> self = shared_from_this();
  for (size_t i = 0; i < blocks.size(); ++i) {
    const auto& [block, order] = blocks[i];
    auto* page = new PageRef::Page;
    page->data = chunks_.at(block.chunk).data() + block.offset;
    page->size = SizeOf(order);
    page->block = block;
    page->pool = self;
    pages[by_size[i]].page_ = page;
    used_.fetch_add(page->size, std::memory_order_relaxed);
  }
  return {};
}

Result<PagePool::Block> PagePool::Take(int order) {
  int from = order;
  while (from < kOrders && free_[from].empty()) ++from;
  Block block;
  if (from < kOrders) {
    block = *free_[from].begin();
    free_[from].erase(free_[from].begin());
  } else {
    HONE_TRY(block, DrawChunk(order));
    from = OrderOf(chunks_.at(block.chunk).size());
  }
  for (; from > order; --from) free_[from - 1].insert({block.chunk, block.offset + SizeOf(from - 1)});
  return block;
}

// A chunk that holds a block of `order`: kChunk, or as much of it as limit and account allow.
Result<PagePool::Block> PagePool::DrawChunk(int order) {
  const uint64_t smallest = SizeOf(order);
  uint64_t size = std::max(smallest, std::min(kChunk, std::bit_floor(std::max(limit_, kSmallestPage))));
  while (true) {
    Result<Buffer> buffer = Buffer::Allocate(account_, size);
    if (buffer) {
      const uint64_t chunk = next_chunk_++;
      chunks_.emplace(chunk, std::move(*buffer));
      return Block{chunk, 0};
    }
    if (size == smallest) return tl::unexpected(std::move(buffer).error());
    size /= 2;
  }
}

// Joins the block with its free neighbours; a chunk that is wholly free goes back to the account.
void PagePool::Put(Block block, int order) {
  const auto chunk = chunks_.find(block.chunk);
  const int chunk_order = OrderOf(chunk->second.size());
  while (order < chunk_order && free_[order].erase({block.chunk, block.offset ^ SizeOf(order)}) == 1) {
    block.offset &= ~SizeOf(order);
    ++order;
  }
  if (order == chunk_order) {
    chunks_.erase(chunk);
  } else {
    free_[order].insert(block);
  }
}

void PagePool::Return(PageRef::Page* page) {
  {
    const std::lock_guard lock(mutex_);
    Put(page->block, OrderOf(page->size));
    used_.fetch_sub(page->size, std::memory_order_relaxed);
  }
  delete page;
}

}  // namespace hone
