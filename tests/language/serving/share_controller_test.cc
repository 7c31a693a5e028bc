#include "language/serving/share_controller.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(ShareModels, FitWhatTheyWereMadeFrom) {
  std::vector<SharePoint> first;
  std::vector<SharePoint> token;
  for (const double share : {20.0, 30.0, 45.0, 60.0, 90.0}) {
    first.push_back({share, 6.8 / (share - 12.0) + 0.02, 1.0});
    token.push_back({share, 0.63 / share + 0.38, 1.0});
  }
  const FirstTokenModel ttft = FitFirstToken(first);
  EXPECT_NEAR(ttft.lambda, 12.0, 0.3);
  EXPECT_NEAR(ttft.At(50.0), 6.8 / 38.0 + 0.02, 1e-3);
  EXPECT_GT(ttft.r2, 0.999);
  EXPECT_EQ(ttft.At(5.0), std::numeric_limits<double>::infinity());
  const TokenModel tpot = FitToken(token);
  EXPECT_NEAR(tpot.a, 0.63, 1e-9);
  EXPECT_NEAR(tpot.b, 0.38, 1e-9);
}

// Fills one window with prompts of `ttft` and gaps of `tpot` seconds.
bool Window(ShareController& controller, double& now, double ttft, double tpot) {
  for (int i = 0; i < 8; ++i) {
    controller.AddArrival();
    controller.AddFirstToken(ttft, 0.1);
  }
  const double gap[] = {tpot};
  for (int i = 0; i < 64; ++i) controller.AddGaps(gap);
  now += 4.0;
  return controller.Update(now);
}

const ServiceObjectives kObjectives{.ttft_seconds = 1.0, .tpot_seconds = 0.05};

TEST(ShareController, KeepsSharesWhereBothPhasesAreFineOrBothMiss) {
  ShareController controller(kObjectives);
  double now = 0.0;
  controller.Update(now);
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(Window(controller, now, 0.5, 0.01));
    EXPECT_FALSE(Window(controller, now, 5.0, 0.5));
  }
  EXPECT_EQ(controller.shares(), (Shares{100.0, 100.0}));
}

TEST(ShareController, TakesFromThePhaseWithSlack) {
  ShareController controller(kObjectives);
  double now = 0.0;
  controller.Update(now);
  EXPECT_TRUE(Window(controller, now, 3.0, 0.01));
  EXPECT_EQ(controller.shares().prefill, 100.0);
  EXPECT_LT(controller.shares().decode, 100.0);
  EXPECT_GE(controller.shares().decode, 70.0) << "at most three steps of ten at once";
  ShareController other(kObjectives);
  now = 0.0;
  other.Update(now);
  EXPECT_TRUE(Window(other, now, 0.1, 0.2));
  EXPECT_LT(other.shares().prefill, 100.0);
  EXPECT_EQ(other.shares().decode, 100.0);
}

TEST(ShareController, DoesNotUndoAMoveWithinTwoWindows) {
  ShareController controller(kObjectives);
  double now = 0.0;
  controller.Update(now);
  ASSERT_TRUE(Window(controller, now, 3.0, 0.01));
  const Shares moved = controller.shares();
  EXPECT_FALSE(Window(controller, now, 0.5, 0.2));
  EXPECT_FALSE(Window(controller, now, 0.5, 0.2));
  EXPECT_EQ(controller.shares(), moved);
  EXPECT_TRUE(Window(controller, now, 0.5, 0.2));
}

TEST(ShareController, NeverLeavesAPhaseWithLessThanTheLeast) {
  ShareController controller(kObjectives);
  double now = 0.0;
  controller.Update(now);
  for (int i = 0; i < 40; ++i) Window(controller, now, 30.0, 0.01);
  EXPECT_EQ(controller.shares().prefill, 100.0);
  EXPECT_EQ(controller.shares().decode, 10.0);
}

TEST(ShareController, WaitsForAWholeWindow) {
  ShareController controller(kObjectives);
  controller.Update(0.0);
  for (int i = 0; i < 7; ++i) controller.AddFirstToken(9.0, 0.1);
  EXPECT_FALSE(controller.Update(1.0));
  EXPECT_LT(controller.window_ttft(), 0.0);
  EXPECT_TRUE(controller.Update(31.0)) << "a slow trickle is looked at after half a minute";
}

}  // namespace
}  // namespace hone
