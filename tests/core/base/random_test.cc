#include "core/base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace hone {
namespace {

// Known answers that the Random123 distribution publishes for philox4x32 with 10 rounds.
TEST(Philox, GivesThePublishedAnswers) {
  using Four = std::array<uint32_t, 4>;
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}), (Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomUniform, DependsOnSeedPositionAndUseAlone) {
  EXPECT_EQ(RandomUniform(7, 100, 1), RandomUniform(7, 100, 1));
  std::set<uint32_t> words;
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
    for (const uint64_t position : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
      for (const uint32_t use : {0u, 1u}) words.insert(RandomWord(seed, position, use));
    }
  }
  EXPECT_EQ(words.size(), 18u);
}

TEST(RandomUniform, IsUniformInTheHalfOpenUnitInterval) {
  constexpr int kDraws = 100000;
  double sum = 0.0, squares = 0.0, doubles = 0.0;
  for (int i = 0; i < kDraws; ++i) {
    const float x = RandomUniform(42, i, 0);
    ASSERT_GE(x, 0.0f);
    ASSERT_LT(x, 1.0f);
    sum += x;
    squares += x * x;
    doubles += RandomUniformDouble(42, i, 1);
  }
  // Standard errors: 0.0009 for the means, 0.0009 for the mean square.
  EXPECT_NEAR(sum / kDraws, 0.5, 0.004);
  EXPECT_NEAR(squares / kDraws, 1.0 / 3.0, 0.004);
  EXPECT_NEAR(doubles / kDraws, 0.5, 0.004);
}

}  // namespace
}  // namespace hone
