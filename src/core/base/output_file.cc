#include "core/base/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace hone {
namespace {

constexpr size_t kBufferBytes = 1 << 20;
constexpr uint64_t kStartWriting = 32 << 20;

tl::unexpected<Error> SystemFailure(const std::string& path, std::string_view step) {
  return Failed("{}: {}: {}", path, step, std::strerror(errno));
}

Result<void> WriteAll(const std::string& path, int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemFailure(path, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  if (this != &other) {
    Discard();
    path_ = std::move(other.path_);
    temporary_ = std::move(other.temporary_);
    buffer_ = std::move(other.buffer_);
    descriptor_ = std::exchange(other.descriptor_, -1);
    size_ = std::exchange(other.size_, 0);
    started_ = std::exchange(other.started_, 0);
  }
  return *this;
}

Result<OutputFile> OutputFile::Create(const std::string& path) {
  OutputFile file;
  file.path_ = path;
  file.temporary_ = fmt::format("{}.partial-{}", path, getpid());
  unlink(file.temporary_.c_str());
  file.descriptor_ = open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file.descriptor_ < 0) return SystemFailure(path, "create");
  file.buffer_.reserve(kBufferBytes);
  return file;
}

Result<void> OutputFile::Flush() {
  HONE_CHECK_OK(WriteAll(path_, descriptor_, buffer_));
  buffer_.clear();
  // The disk starts while more is being made, so that the sync at the end has little left to do.
  if (size_ - started_ >= kStartWriting) {
    sync_file_range(descriptor_, static_cast<off_t>(started_), 0, SYNC_FILE_RANGE_WRITE);
    started_ = size_;
  }
  return {};
}

Result<void> OutputFile::Write(std::span<const std::byte> bytes) {
  if (descriptor_ < 0) return Failed("{}: write: the file is closed", path_);
  size_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBufferBytes) HONE_CHECK_OK(Flush());
  if (bytes.size() >= kBufferBytes) return WriteAll(path_, descriptor_, bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<void> OutputFile::Commit() {
  if (descriptor_ < 0) return Failed("{}: write: the file is closed", path_);
  HONE_CHECK_OK(Flush());
  if (fsync(descriptor_) != 0) return SystemFailure(path_, "sync");
  if (close(std::exchange(descriptor_, -1)) != 0) {
    const auto failure = SystemFailure(path_, "close");
    unlink(temporary_.c_str());
    return failure;
  }
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const auto failure = SystemFailure(path_, "rename");
    unlink(temporary_.c_str());
    return failure;
  }
  // The name itself reaches the disk with its folder; a file system that cannot sync folders keeps its own
  // promise.
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  const int folder_descriptor =
      open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_descriptor >= 0) {
    fsync(folder_descriptor);
    close(folder_descriptor);
  }
  return {};
}

void OutputFile::Discard() {
  if (descriptor_ < 0) return;
  close(std::exchange(descriptor_, -1));
  unlink(temporary_.c_str());
}

}  // namespace hone
