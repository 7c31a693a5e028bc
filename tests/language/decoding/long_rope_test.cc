#include "language/decoding/long_rope.h"

#include <gtest/gtest.h>

#include "language/decoding/generation_fixture.h"

namespace hone {
namespace {

using testing::SomePrompt;
using testing::TinyEngine;

ModelConfig LongRope(int64_t original) {
  ModelConfig config;
  config.rope_scaling.kind = RopeScalingKind::kLongRope;
  config.rope_scaling.original_context = original;
  return config;
}

struct Filled {
  TinyEngine engine;
  std::unique_ptr<Sequence> sequence = engine.MakeSequence(SomePrompt(16, 1));

  Filled() {
    Batch batch;
    AppendRows(*sequence, 0, 16, true, false, batch);
    EXPECT_TRUE(engine.runner->Run(batch, [](int64_t, std::span<float>) {}));
    sequence->cached = 16;
  }
};

TEST(LongRope, EmptiesTheCacheWhenASequencePassesTheOriginalContext) {
  Filled filled;
  ASSERT_TRUE(ChooseRopeFactors(LongRope(16), 16, *filled.sequence));
  EXPECT_EQ(filled.sequence->cached, 16);
  ASSERT_TRUE(ChooseRopeFactors(LongRope(16), 17, *filled.sequence));
  EXPECT_EQ(filled.sequence->cached, 0);
  EXPECT_EQ(filled.sequence->cache.layer(0).runs().size(), 0u);
  EXPECT_TRUE(filled.sequence->long_rope);
}

TEST(LongRope, ReturnsToTheShortFactorsWhenASequenceBecomesShorter) {
  Filled filled;
  filled.sequence->long_rope = true;
  ASSERT_TRUE(ChooseRopeFactors(LongRope(32), 16, *filled.sequence));
  EXPECT_EQ(filled.sequence->cached, 0);
  EXPECT_FALSE(filled.sequence->long_rope);
}

TEST(LongRope, LeavesOtherModelsAlone) {
  Filled filled;
  ASSERT_TRUE(ChooseRopeFactors(ModelConfig{}, 1 << 20, *filled.sequence));
  EXPECT_EQ(filled.sequence->cached, 16);
  EXPECT_FALSE(filled.sequence->long_rope);
}

}  // namespace
}  // namespace hone
