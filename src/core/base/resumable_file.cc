#include "core/base/resumable_file.h"

#define XXH_INLINE_ALL
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

namespace hone {

struct ResumableFile::State {
  std::string path;
  std::string key;
  int descriptor = -1;
  uint64_t size = 0;
  uint64_t started = 0;  // bytes that the disk was told to begin with
  XXH3_state_t hash{};   // of the bytes so far

  std::string Partial() const { return path + ".partial"; }
  std::string Notes() const { return path + ".partial.state"; }
};

namespace {

constexpr uint64_t kStartWriting = 32 << 20;
constexpr std::string_view kNotesVersion = "hone-partial-1";

tl::unexpected<Error> SystemFailure(const std::string& path, std::string_view step) {
  return Failed("{}: {}: {}", path, step, std::strerror(errno));
}

struct Notes {
  std::string version, key;
  uint64_t size = 0, hash = 0;
};

Notes ReadNotes(const std::string& path) {
  Notes notes;
  std::ifstream file(path);
  file >> notes.version >> notes.key >> notes.size >> notes.hash;
  return file ? notes : Notes{};
}

Result<void> WriteNotes(const std::string& path, const Notes& notes) {
  const std::string temporary = path + ".new";
  const std::string text = fmt::format("{}\n{}\n{}\n{}\n", notes.version, notes.key, notes.size, notes.hash);
  std::FILE* file = std::fopen(temporary.c_str(), "we");
  if (file == nullptr) return SystemFailure(path, "create");
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = std::fclose(file) == 0;
  if (written && closed && std::rename(temporary.c_str(), path.c_str()) == 0) return {};
  const auto failure = SystemFailure(path, "write");
  unlink(temporary.c_str());
  return failure;
}

// Hashes the first `size` bytes of the file into `state`; false where there are fewer.
bool HashFront(int descriptor, uint64_t size, XXH3_state_t& state) {
  std::vector<std::byte> buffer(1 << 20);
  for (uint64_t done = 0; done < size;) {
    const size_t wanted = size - done < buffer.size() ? static_cast<size_t>(size - done) : buffer.size();
    const ssize_t got = pread(descriptor, buffer.data(), wanted, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    XXH3_64bits_update(&state, buffer.data(), static_cast<size_t>(got));
    done += static_cast<uint64_t>(got);
  }
  return true;
}

}  // namespace

ResumableFile::ResumableFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
ResumableFile::ResumableFile(ResumableFile&& other) noexcept = default;
ResumableFile& ResumableFile::operator=(ResumableFile&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

ResumableFile::~ResumableFile() {
  if (!state_ || state_->descriptor < 0) return;
  unlink(state_->Notes().c_str());
  unlink(state_->Partial().c_str());
  close(state_->descriptor);
}

Result<ResumableFile> ResumableFile::Open(const std::string& path, std::string_view key) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->key = key;
  const int descriptor = open(state->Partial().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return SystemFailure(path, "create");
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    close(descriptor);
    return Failed("{}: another process is writing it", path);
  }
  state->descriptor = descriptor;
  const Notes notes = ReadNotes(state->Notes());
  XXH3_64bits_reset(&state->hash);
  if (notes.version == kNotesVersion && notes.key == key && HashFront(descriptor, notes.size, state->hash) &&
      XXH3_64bits_digest(&state->hash) == notes.hash) {
    state->size = notes.size;
  } else {
    XXH3_64bits_reset(&state->hash);
  }
  ResumableFile file(std::move(state));
  if (ftruncate(descriptor, static_cast<off_t>(file.size())) != 0 ||
      lseek(descriptor, static_cast<off_t>(file.size()), SEEK_SET) < 0) {
    return SystemFailure(path, "truncate");
  }
  return file;
}

uint64_t ResumableFile::size() const { return state_->size; }

Result<void> ResumableFile::Write(std::span<const std::byte> bytes) {
  XXH3_64bits_update(&state_->hash, bytes.data(), bytes.size());
  state_->size += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = write(state_->descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemFailure(state_->path, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  // The disk starts while more is being made, so that the sync at the end has little left to do.
  if (state_->size - state_->started >= kStartWriting) {
    sync_file_range(state_->descriptor, static_cast<off_t>(state_->started), 0, SYNC_FILE_RANGE_WRITE);
    state_->started = state_->size;
  }
  return {};
}

Result<void> ResumableFile::Checkpoint() {
  return WriteNotes(state_->Notes(), {std::string(kNotesVersion), state_->key, state_->size,
                                      XXH3_64bits_digest(&state_->hash)});
}

Result<void> ResumableFile::Commit() {
  const std::string& path = state_->path;
  if (fsync(state_->descriptor) != 0) return SystemFailure(path, "sync");
  if (std::rename(state_->Partial().c_str(), path.c_str()) != 0) return SystemFailure(path, "rename");
  unlink(state_->Notes().c_str());
  close(std::exchange(state_->descriptor, -1));
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const int folder_descriptor =
      open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_descriptor >= 0) {  // a file system that cannot sync folders keeps its own promise
    fsync(folder_descriptor);
    close(folder_descriptor);
  }
  return {};
}

}  // namespace hone
