// A file that appears under its name only when it is whole: written under a temporary name beside it, synced,
// renamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace hone {

class OutputFile {
 public:
  OutputFile(OutputFile&& other) noexcept { *this = std::move(other); }
  OutputFile& operator=(OutputFile&& other) noexcept;
  // Removes the temporary file unless Commit has succeeded.
  ~OutputFile() { Discard(); }

  // The temporary name is PATH.partial-PID; what a killed process of the same number left there is replaced.
  static Result<OutputFile> Create(const std::string& path);

  // Appends; errors name the file and the system's reason.
  Result<void> Write(std::span<const std::byte> bytes);
  uint64_t size() const { return size_; }

  // Syncs the bytes to the disk and gives the file its name, replacing what was there. Nothing can be written
  // after.
  Result<void> Commit();

 private:
  OutputFile() = default;
  Result<void> Flush();
  void Discard();

  std::string path_;
  std::string temporary_;
  std::vector<std::byte> buffer_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  uint64_t started_ = 0;  // bytes that the disk was told to begin with
};

}  // namespace hone
