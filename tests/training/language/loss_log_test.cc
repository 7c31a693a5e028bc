#include "training/language/loss_log.h"

#include <gtest/gtest.h>

#include <fstream>

#include "scratch_folder.h"

namespace hone {
namespace {

LossLine Line(int64_t step) {
  return {.step = step,
          .tokens = step * 100,
          .loss = 8.0 / static_cast<double>(step),
          .held_out = step % 2 == 0 ? 5.5 : -1.0,
          .rate = 1e-3,
          .gradient_norm = 0.5,
          .seconds = 0.25};
}

TEST(LossLog, ForgetsLinesAfterTheCheckpointAndALineThatIsBrokenOff) {
  ScratchFolder folder;
  const std::string path = folder.Path("log.csv");
  {
    auto log = LossLog::Begin(path, {});
    ASSERT_TRUE(log);
    for (int64_t step = 1; step <= 5; ++step) ASSERT_TRUE(log->Append(Line(step)));
  }
  std::ofstream(path, std::ios::app) << "6,600,1.3333";
  const auto all = ReadLossLog(path, 100);
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 5u);
  EXPECT_EQ(all->at(3).step, 4);
  EXPECT_EQ(all->at(3).tokens, 400);
  EXPECT_DOUBLE_EQ(all->at(3).loss, 2.0);
  EXPECT_DOUBLE_EQ(all->at(3).held_out, 5.5);
  EXPECT_LT(all->at(2).held_out, 0.0);
  EXPECT_DOUBLE_EQ(all->at(2).seconds, 0.25);
  EXPECT_EQ(ReadLossLog(path, 3)->size(), 3u);
  EXPECT_EQ(ReadLossLog(folder.Path("none.csv"), 3)->size(), 0u);
}

}  // namespace
}  // namespace hone
