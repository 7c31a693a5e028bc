#include "core/base/log.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(Log, ShowsWarningsAndHidesTheRestByDefault) {
  if (std::getenv("HONE_LOG") != nullptr) GTEST_SKIP() << "HONE_LOG is set";
  testing::internal::CaptureStderr();
  LogInfo("loaded {} tensors", 3);
  LogWarning("{} bytes dropped", 7);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "hone: warning: 7 bytes dropped\n");
}

}  // namespace
}  // namespace hone
