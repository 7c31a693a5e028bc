// A file on its way: it is written under NAME.part, which survives a failure, and gets its name when it is
// complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/base/result.h"

namespace hone {

class PartialFile {
 public:
  PartialFile() = default;
  PartialFile(PartialFile&& other) noexcept { *this = std::move(other); }
  PartialFile& operator=(PartialFile&& other) noexcept;
  ~PartialFile();

  // Makes the folders, opens PATH.part and waits until no other process holds it. nullopt: PATH itself is
  // there by now.
  static Result<std::optional<PartialFile>> Open(const std::string& path);

  std::string path() const { return path_ + ".part"; }
  uint64_t size() const { return size_; }
  Result<void> Append(std::span<const std::byte> bytes);
  Result<void> Truncate();
  // Brings the bytes to the disk and gives the file its name.
  Result<void> Finish();

  // What the next attempt must know, kept in PATH.part.info: one line each.
  std::string ReadInfo() const;
  void WriteInfo(const std::string& info) const;

 private:
  std::string path_;
  int file_ = -1;
  uint64_t size_ = 0;
};

}  // namespace hone
