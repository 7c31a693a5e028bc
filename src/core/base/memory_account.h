// Every large buffer is drawn from an account, so that "how much memory" has an exact answer and a limit can
// be set.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "core/base/result.h"

namespace hone {

// Thread-safe. An account outlives what is drawn from it.
class MemoryAccount {
 public:
  static constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

  explicit MemoryAccount(std::string name, uint64_t limit = kUnlimited)
      : name_(std::move(name)), limit_(limit) {}
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  // All of `bytes` or an error that names the account, the limit, what is in use and what was asked.
  Result<void> Reserve(uint64_t bytes);
  void Release(uint64_t bytes);

  const std::string& name() const { return name_; }
  uint64_t limit() const { return limit_; }
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t peak() const { return peak_.load(std::memory_order_relaxed); }

 private:
  std::string name_;
  uint64_t limit_;
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> peak_{0};
};

// A block of 64-byte aligned, zeroed memory drawn from an account; gives it back when it dies. Pages that are
// never touched cost nothing but the account's count.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { Reset(); }

  static Result<Buffer> Allocate(MemoryAccount& account, uint64_t bytes);
  void Reset();

  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }
  template <class T>
  std::span<T> as() const {
    return {reinterpret_cast<T*>(data_), size_ / sizeof(T)};
  }

 private:
  MemoryAccount* account_ = nullptr;
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

// The three accounts of an engine.
struct MemoryAccounts {
  MemoryAccount weights;
  MemoryAccount kv;
  MemoryAccount scratch;
};

}  // namespace hone
