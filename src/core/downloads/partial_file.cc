#include "core/downloads/partial_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/base/progress.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> SystemError(const std::string& path) {
  return Failed("{}: {}", path, std::strerror(errno));
}

// Whether the open file is still what lies under `path`: another process may have renamed it while we waited.
bool IsStillAt(int file, const std::string& path) {
  struct stat opened {
  }, named{};
  return fstat(file, &opened) == 0 && stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

}  // namespace

PartialFile& PartialFile::operator=(PartialFile&& other) noexcept {
  if (this != &other) {
    if (file_ >= 0) close(file_);
    path_ = std::move(other.path_);
    file_ = std::exchange(other.file_, -1);
    size_ = other.size_;
  }
  return *this;
}

PartialFile::~PartialFile() {
  if (file_ >= 0) close(file_);
}

Result<std::optional<PartialFile>> PartialFile::Open(const std::string& path) {
  std::error_code problem;
  fs::create_directories(fs::path(path).parent_path(), problem);
  if (problem) return Failed("{}: {}", fs::path(path).parent_path().string(), problem.message());
  const std::string partial = path + ".part";
  while (true) {
    if (fs::exists(path, problem)) return std::nullopt;
    const int file = open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return SystemError(partial);
    PartialFile result;
    result.path_ = path;
    result.file_ = file;
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
      fmt::print(stderr, "{}: another process is fetching it, waiting\n", path);
      while (flock(file, LOCK_EX) != 0) {
        if (errno != EINTR) return SystemError(partial);
      }
    }
    if (!IsStillAt(file, partial)) continue;
    if (fs::exists(path, problem)) {
      fs::remove(partial, problem);  // ours, made between the other's rename and our look
      return std::nullopt;
    }
    struct stat status {};
    if (fstat(file, &status) != 0 || lseek(file, 0, SEEK_END) < 0) return SystemError(partial);
    result.size_ = static_cast<uint64_t>(status.st_size);
    return std::optional<PartialFile>(std::move(result));
  }
}

Result<void> PartialFile::Append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file_, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return Failed("{}: {}; the {} fetched so far are kept", path(), std::strerror(errno),
                    ReadableSize(size_));
    }
    size_ += static_cast<uint64_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

Result<void> PartialFile::Truncate() {
  if (ftruncate(file_, 0) != 0 || lseek(file_, 0, SEEK_SET) < 0) return SystemError(path());
  size_ = 0;
  return {};
}

Result<void> PartialFile::Finish() {
  if (fsync(file_) != 0) return SystemError(path());
  if (rename(path().c_str(), path_.c_str()) != 0) return SystemError(path_);
  std::error_code ignored;
  fs::remove(path() + ".info", ignored);
  close(std::exchange(file_, -1));
  return {};
}

std::string PartialFile::ReadInfo() const {
  std::ifstream file(path() + ".info");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void PartialFile::WriteInfo(const std::string& info) const { std::ofstream(path() + ".info") << info; }

}  // namespace hone
