#include "core/base/resumable_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "scratch_folder.h"

namespace hone {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// What a process leaves that is killed after a checkpoint and some more bytes.
void WriteAndDie(const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    auto file = ResumableFile::Open(path, "key");
    if (file && file->Write(Bytes("first ")) && file->Checkpoint() && file->Write(Bytes("lost")))
      raise(SIGKILL);
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(ResumableFile, GoesOnAtTheLastCheckpointOfAKilledProcess) {
  const ScratchFolder folder;
  const std::string path = folder.Path("out");
  WriteAndDie(path);
  EXPECT_FALSE(std::filesystem::exists(path));
  auto file = ResumableFile::Open(path, "key");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->size(), 6u);
  ASSERT_TRUE(file->Write(Bytes("second")));
  ASSERT_TRUE(file->Commit());
  EXPECT_EQ(Contents(path), "first second");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(ResumableFile, StartsAgainUnderAnotherKeyOrWithOtherBytes) {
  const ScratchFolder folder;
  const std::string path = folder.Path("out");
  WriteAndDie(path);
  EXPECT_EQ(ResumableFile::Open(path, "other key")->size(), 0u);
  WriteAndDie(path);
  folder.Write("out.partial", "wrong bytes");
  EXPECT_EQ(ResumableFile::Open(path, "key")->size(), 0u);
}

TEST(ResumableFile, LeavesTheOldFileAndNothingElseWhenItIsDropped) {
  const ScratchFolder folder;
  const std::string path = folder.Write("out", "old");
  {
    auto file = ResumableFile::Open(path, "key");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->Write(Bytes("new")));
    ASSERT_TRUE(file->Checkpoint());
    EXPECT_FALSE(ResumableFile::Open(path, "key")) << "two at once";
  }
  EXPECT_EQ(Contents(path), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(ResumableFile, NamesTheFolderThatIsNotThere) {
  const auto file = ResumableFile::Open("/nowhere/at/all", "key");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::kFailed);
  EXPECT_EQ(file.error().message, "/nowhere/at/all: create: No such file or directory");
}

}  // namespace
}  // namespace hone
