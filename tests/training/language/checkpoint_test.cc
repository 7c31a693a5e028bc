#include "training/language/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "scratch_folder.h"

namespace hone {
namespace {

std::vector<float> Values(int64_t step, size_t count) {
  return std::vector<float>(count, static_cast<float>(step));
}

Result<void> Save(const std::string& folder, int64_t step, size_t count = 6) {
  const std::vector<float> values = Values(step, count);
  const NamedValues tensor{"w", {2, static_cast<int64_t>(count) / 2}, values};
  return SaveCheckpoint(folder, step, {&tensor, 1});
}

TEST(Checkpoint, ComesBackAsItWasSaved) {
  ScratchFolder folder;
  EXPECT_FALSE(HasCheckpoint(folder.path()));
  ASSERT_TRUE(Save(folder.path(), 7));
  ASSERT_TRUE(HasCheckpoint(folder.path()));
  const auto loaded = LoadCheckpoint(folder.path());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->step, 7);
  ASSERT_EQ(loaded->tensors.size(), 1u);
  EXPECT_EQ(loaded->tensors[0].name, "w");
  EXPECT_EQ(loaded->tensors[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(loaded->tensors[0].values, Values(7, 6));
}

TEST(Checkpoint, KeepsTheOneBeforeAndTakesItWhenTheNewestIsDamaged) {
  ScratchFolder folder;
  for (int64_t step = 1; step <= 3; ++step) ASSERT_TRUE(Save(folder.path(), step));
  ASSERT_EQ(LoadCheckpoint(folder.path())->step, 3);
  const std::string newest = LoadCheckpoint(folder.path())->path;
  {
    std::fstream file(newest, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-20, std::ios::end);
    file.put('\x55');
  }
  const auto loaded = LoadCheckpoint(folder.path());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->step, 2);
  EXPECT_NE(loaded->passed_over.find("damaged"), std::string::npos) << loaded->passed_over;
  ASSERT_TRUE(Save(folder.path(), 4));  // takes the place of the older
  EXPECT_EQ(LoadCheckpoint(folder.path())->step, 4);
}

TEST(Checkpoint, RefusesToGoOnFromDamageAlone) {
  ScratchFolder folder;
  ASSERT_TRUE(Save(folder.path(), 1));
  const std::string path = LoadCheckpoint(folder.path())->path;
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  const auto loaded = LoadCheckpoint(folder.path());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().kind, ErrorKind::kBadInput);
}

// A process that saves without end is killed at moments spread over its saves: what it leaves is always
// whole.
TEST(Checkpoint, SurvivesAKillAtAnyMoment) {
  ScratchFolder folder;
  ASSERT_TRUE(Save(folder.path(), 1, 200000));
  int64_t least = 1;
  for (int round = 0; round < 12; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      for (int64_t step = least + 1;; ++step) {
        if (!Save(folder.path(), step, 200000)) _exit(1);
      }
    }
    usleep(static_cast<useconds_t>(3000 + 1700 * round));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    const auto loaded = LoadCheckpoint(folder.path());
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->passed_over, "");
    EXPECT_GE(loaded->step, least);
    EXPECT_EQ(loaded->tensors[0].values, Values(loaded->step, 200000));
    least = loaded->step;
  }
}

}  // namespace
}  // namespace hone
