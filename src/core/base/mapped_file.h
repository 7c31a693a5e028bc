// A file read through a memory map.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.h"

namespace hone {

class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  // Read-only and private. An empty file is legal and maps to no bytes; a folder or an unreadable file is an error.
  static Result<MappedFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // Tells the kernel that [offset, offset + length) will be read from front to back soon: it reads ahead.
  void WillRead(uint64_t offset, uint64_t length) const;
  // Gives the resident pages that lie wholly inside [offset, offset + length) back; reading them again is legal and slow.
  void Drop(uint64_t offset, uint64_t length) const;

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace hone
