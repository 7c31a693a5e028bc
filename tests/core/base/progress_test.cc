#include "core/base/progress.h"

#include <gtest/gtest.h>

#include <string>

namespace hone {
namespace {

struct Screen {
  double now = 100.0;
  std::string text;
  ProgressOutput Output(bool terminal) {
    return {terminal, 80, [this] { return now; }, [this](std::string_view more) { text += more; }};
  }
};

TEST(ReadableSize, HasThreeDigits) {
  EXPECT_EQ(ReadableSize(0), "0 B");
  EXPECT_EQ(ReadableSize(999), "999 B");
  EXPECT_EQ(ReadableSize(98362432), "98.4 MB");
  EXPECT_EQ(ReadableSize(999999), "1.00 MB");
  EXPECT_EQ(ReadableSize(4294967296), "4.29 GB");
}

TEST(Progress, ShowsNothingForWorkUnderTwoSeconds) {
  Screen screen;
  {
    Progress progress("model", 1000, Progress::Unit::kItems, screen.Output(true));
    for (int i = 0; i < 19; ++i) {
      screen.now += 0.1;
      progress.Update(i * 50);
    }
  }
  EXPECT_EQ(screen.text, "");
}

TEST(Progress, WritesALineEveryFiveSecondsWhereThereIsNoTerminal) {
  Screen screen;
  {
    Progress progress("model", 200'000'000, Progress::Unit::kBytes, screen.Output(false));
    progress.Update(0);
    for (int second = 1; second <= 10; ++second) {
      screen.now += 1.0;
      progress.Update(second * 20'000'000);
    }
  }
  EXPECT_EQ(screen.text,
            "model   20 %  40.0 MB of 200 MB  20.0 MB/s  0:08 left\n"
            "model   70 %  140 MB of 200 MB  20.0 MB/s  0:03 left\n"
            "model  100 %  200 MB of 200 MB  20.0 MB/s\n");
}

TEST(Progress, RedrawsOneLineWithinTheTerminalsWidth) {
  Screen screen;
  Progress progress("model", 100, Progress::Unit::kItems, screen.Output(true));
  progress.Update(0);
  screen.now += 4.0;
  progress.Update(50);
  EXPECT_EQ(screen.text,
            "\r\x1b[2Kmodel  [################.................]   50 %  50 of 100  12.5/s  0:04 left");
  screen.text.clear();
  screen.now += 0.05;
  progress.Update(51);
  EXPECT_EQ(screen.text, "");
}

TEST(Progress, CountsOnlyWhatCameSinceTheStartForTheRate) {
  Screen screen;
  Progress progress("model", 0, Progress::Unit::kItems, screen.Output(false));
  progress.Update(900);
  screen.now += 10.0;
  progress.Update(1000);
  EXPECT_EQ(screen.text, "model  1000  10.0/s\n");
}

}  // namespace
}  // namespace hone
