// A file that takes long to make: it appears under its name only when it is whole, and work on it goes on
// where a killed process left it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hone {

class ResumableFile {
 public:
  ResumableFile(ResumableFile&& other) noexcept;
  ResumableFile& operator=(ResumableFile&& other) noexcept;
  // Removes what was written unless Commit has succeeded; a process that is killed gets no chance to.
  ~ResumableFile();

  // Writes to PATH.partial, and notes in PATH.partial.state how far it has come. What an earlier process left
  // there is kept where it was made with the same `key` and its bytes still have the hash that was noted.
  // Fails where another process is writing the file.
  static Result<ResumableFile> Open(const std::string& path, std::string_view key);

  uint64_t size() const;  // bytes written, those of an earlier process included
  // Appends; errors name the file and the system's reason.
  Result<void> Write(std::span<const std::byte> bytes);
  // What has been written so far will not be written again by a process that goes on from here.
  Result<void> Checkpoint();
  // Syncs the bytes to the disk and gives the file its name, replacing what was there.
  Result<void> Commit();

 private:
  struct State;
  explicit ResumableFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hone
