#include "core/base/memory_account.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace hone {
namespace {

// From this size on a buffer is its own mapping: zero pages come from the kernel and go back to it at once.
constexpr uint64_t kMapFrom = 1 << 20;

}  // namespace

Result<void> MemoryAccount::Reserve(uint64_t bytes) {
  uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes > limit_ - used) {
      return Failed("memory: {}: {} bytes wanted, {} of {} in use", name_, bytes, used, limit_);
    }
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  uint64_t peak = peak_.load(std::memory_order_relaxed);
  while (peak < used + bytes && !peak_.compare_exchange_weak(peak, used + bytes, std::memory_order_relaxed)) {
  }
  return {};
}

void MemoryAccount::Release(uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Reset();
    account_ = std::exchange(other.account_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Result<Buffer> Buffer::Allocate(MemoryAccount& account, uint64_t bytes) {
  Buffer buffer;
  if (bytes == 0) return buffer;
  HONE_CHECK_OK(account.Reserve(bytes));
  void* data = nullptr;
  if (bytes >= kMapFrom) {
    data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) data = nullptr;
    if (data != nullptr) madvise(data, bytes, MADV_HUGEPAGE);
  } else {
    data = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (data != nullptr) std::memset(data, 0, bytes);
  }
  if (data == nullptr) {
    account.Release(bytes);
    return Failed("memory: {}: the system refused {} bytes", account.name(), bytes);
  }
  buffer.account_ = &account;
  buffer.data_ = static_cast<std::byte*>(data);
  buffer.size_ = bytes;
  return buffer;
}

void Buffer::Reset() {
  if (data_ == nullptr) return;
  if (size_ >= kMapFrom) {
    munmap(data_, size_);
  } else {
    std::free(data_);
  }
  account_->Release(size_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace hone
