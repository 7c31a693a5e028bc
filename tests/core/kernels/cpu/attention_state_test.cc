// One attention state with one merge, and the softmax with a fixed phi.
#include "core/kernels/attention_state.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/kernels/cpu/attention_case.h"
#include "core/kernels/cpu/each_target.h"
#include "core/kernels/cpu/test_shares.h"

namespace hone {
namespace {

using test::AttentionCase;
using test::CaseOptions;
using test::ForEachTarget;
using test::SerialShare;
using test::ThreadShare;
using test::VisibilityRule;

AttentionShape Shape(int heads, int kv_heads, int head_dim) {
  return {heads, kv_heads, head_dim, 1.0f / std::sqrt(static_cast<float>(head_dim)), {}};
}

double LargestDifference(const std::vector<float>& a, const std::vector<double>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    largest =
        std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(largest, difference);
  }
  return largest;
}

bool SameBits(const float* a, const float* b, size_t count) {
  return std::memcmp(a, b, count * sizeof(float)) == 0;
}

// The unfinished states of a call, as the merge takes them.
struct Unfinished {
  std::vector<float> numerator, max, denominator;
  std::vector<float*> numerators;

  Unfinished(const AttentionCase& made, ComputeShare& share, std::span<const AttentionItem> items)
      : numerator(static_cast<size_t>(made.rows() * made.columns())),
        max(static_cast<size_t>(made.rows() * made.shape().heads)),
        denominator(max.size()) {
    const AttentionShape& shape = made.shape();
    std::vector<std::byte> scratch(static_cast<size_t>(AttentionScratchBytes(shape, items)));
    AttentionUnfinished(share, shape, items, made.query(), {numerator.data(), made.rows(), made.columns()},
                        {max.data(), made.rows(), shape.heads},
                        {denominator.data(), made.rows(), shape.heads}, scratch, nullptr);
    for (size_t pair = 0; pair < max.size(); ++pair)
      numerators.push_back(numerator.data() + pair * static_cast<size_t>(shape.head_dim));
  }
  AttentionStates states(int head_dim) {
    return {static_cast<int>(max.size()), head_dim, max.data(), denominator.data(), numerators.data()};
  }
};

// Views that keep the entries of [begin, end) of another call's.
struct CutViews {
  std::vector<std::vector<EntrySpan>> spans;
  std::vector<RowView> views;

  CutViews(std::span<const RowView> from, int32_t begin, int32_t end) {
    for (const RowView& view : from) {
      std::vector<EntrySpan>& kept = spans.emplace_back();
      for (const EntrySpan& span : view.visible) {
        const EntrySpan cut{std::max(span.begin, begin), std::min(span.end, end)};
        if (cut.begin < cut.end) kept.push_back(cut);
      }
    }
    for (size_t i = 0; i < from.size(); ++i) views.push_back({spans[i], from[i].bias});
  }
};

RC_GTEST_PROP(AttentionState, OfTwoPartsMergesIntoTheWhole, ()) {
  CaseOptions options;
  const int kv_heads = *rc::gen::inRange(1, 3);
  options.shape = Shape(kv_heads * *rc::gen::inRange(1, 4), kv_heads, 8 * *rc::gen::inRange(4, 17));
  const std::vector<SoftmaxScale> fixed(static_cast<size_t>(kv_heads), {.fixed = true, .phi = 0.5f});
  if (*rc::gen::arbitrary<bool>()) options.shape.softmax = fixed;
  options.rule = *rc::gen::element(VisibilityRule::kCausal, VisibilityRule::kHoles, VisibilityRule::kEmpty);
  options.seed = *rc::gen::arbitrary<uint64_t>();
  AttentionCase made(options);
  const auto rows = *rc::gen::inRange<int64_t>(1, 20);
  made.AddSequence(rows, rows + *rc::gen::inRange<int64_t>(0, 1500));
  const auto cut = *rc::gen::inRange<int32_t>(0, 1500);
  const std::vector<double> expected = made.RunReference();
  ForEachTarget([&](int64_t) {
    SerialShare share;
    const CutViews left(made.item(0).views, 0, cut);
    const CutViews right(made.item(0).views, cut, 1 << 20);
    AttentionItem item = made.item(0);
    item.views = left.views;
    Unfinished part(made, share, {&item, 1});
    item.views = right.views;
    Unfinished total(made, share, {&item, 1});
    MergeStates(part.states(options.shape.head_dim), total.states(options.shape.head_dim));
    FinishStates(total.states(options.shape.head_dim));
    RC_ASSERT(LargestDifference(total.numerator, expected) < 5e-6);
  });
}

TEST(AttentionState, MergedSpanBySpanHasTheBitsOfTheWholeCall) {
  CaseOptions options;
  options.shape = Shape(3, 1, 64);
  AttentionCase made(options);
  made.AddSequence(2, 2000);
  SerialShare share;
  const std::vector<float> expected = made.Run(share);
  constexpr int32_t kSpan = kTileEntries * kTilesPerSpan;
  AttentionItem item = made.item(0);
  const CutViews first(made.item(0).views, 0, kSpan);
  item.views = first.views;
  Unfinished total(made, share, {&item, 1});
  for (int32_t begin = kSpan; begin < 2000; begin += kSpan) {
    const CutViews next(made.item(0).views, begin, begin + kSpan);
    item.views = next.views;
    Unfinished part(made, share, {&item, 1});
    MergeStates(part.states(64), total.states(64));
  }
  FinishStates(total.states(64));
  EXPECT_TRUE(SameBits(total.numerator.data(), expected.data(), expected.size()));
}

TEST(AttentionState, WithOnePhiMergesByAddition) {
  float max[] = {6.0f, 6.0f};
  float part_denominator[] = {0.1f, 3.0f};
  float total_denominator[] = {0.7f, 0.0f};
  float part_numbers[16];
  float total_numbers[16];
  for (int i = 0; i < 16; ++i) {
    part_numbers[i] = 0.1f * static_cast<float>(i + 1);
    total_numbers[i] = 0.3f * static_cast<float>(i - 7);
  }
  float expected[16];
  for (int i = 0; i < 16; ++i) expected[i] = total_numbers[i] + part_numbers[i];
  float* part_rows[] = {part_numbers, part_numbers + 8};
  float* total_rows[] = {total_numbers, total_numbers + 8};
  MergeStates({2, 8, max, part_denominator, part_rows}, {2, 8, max, total_denominator, total_rows});
  EXPECT_EQ(total_denominator[0], 0.1f + 0.7f);
  EXPECT_EQ(total_denominator[1], 3.0f);
  EXPECT_EQ(max[0], 6.0f);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(total_numbers[i], expected[i]);
}

TEST(Attention, ReadsTilesOfTwoFormatsInOneCache) {
  CaseOptions options;
  options.shape = Shape(4, 2, 64);
  AttentionCase exact(options);
  exact.AddSequence(5, 200);
  // The first four tiles in float16, the rest as they were.
  std::vector<std::vector<std::vector<std::byte>>> halves(2);
  std::vector<TileFormat> formats(7, TileFormat::kF32);
  std::vector<float> key(64);
  std::vector<float> value(64);
  for (size_t head = 0; head < 2; ++head) {
    for (size_t tile = 0; tile < 4; ++tile) {
      formats[tile] = TileFormat::kF16;
      auto& bytes = halves[head].emplace_back(static_cast<size_t>(TileBytes(TileFormat::kF16, 64)));
      for (int entry = 0; entry < kTileEntries; ++entry) {
        ReadEntry(TileFormat::kF32, 64, entry, exact.cache(0).tiles[head][tile], key.data(), value.data());
        WriteEntry(TileFormat::kF16, 64, entry, key.data(), value.data(), bytes.data());
      }
      exact.cache(0).tiles[head][tile] = bytes.data();
    }
    exact.cache(0).heads[head].formats = formats;
  }
  const std::vector<double> expected = exact.RunReference();
  ForEachTarget([&](int64_t) {
    SerialShare share;
    EXPECT_LT(LargestDifference(exact.Run(share), expected), 5e-6);
  });
}

// --- fixed phi

std::vector<SoftmaxScale> Scales(int kv_heads, const SoftmaxScale& scale) {
  return std::vector<SoftmaxScale>(static_cast<size_t>(kv_heads), scale);
}

RC_GTEST_PROP(FixedSoftmax, AgreesWithFloat64OnRandomShapesAndMasks, ()) {
  CaseOptions options;
  const int kv_heads = *rc::gen::inRange(1, 4);
  options.shape = Shape(kv_heads * *rc::gen::inRange(1, 6), kv_heads, 8 * *rc::gen::inRange(4, 33));
  const auto scales = Scales(kv_heads, {.fixed = true,
                                        .phi = static_cast<float>(*rc::gen::inRange(-20, 21)),
                                        .strict = *rc::gen::arbitrary<bool>()});
  options.shape.softmax = scales;
  options.format = *rc::gen::element(TileFormat::kF32, TileFormat::kF16);
  options.rule = *rc::gen::element(VisibilityRule::kCausal, VisibilityRule::kWindow, VisibilityRule::kTree,
                                   VisibilityRule::kHoles, VisibilityRule::kAll, VisibilityRule::kEmpty);
  options.bias = *rc::gen::arbitrary<bool>();
  options.views_by_head = *rc::gen::arbitrary<bool>();
  options.seed = *rc::gen::arbitrary<uint64_t>();
  AttentionCase made(options);
  for (int i = *rc::gen::inRange(1, 4); i > 0; --i) {
    const int64_t rows = *rc::gen::element(1, 2, 5, 30);
    made.AddSequence(rows, rows + *rc::gen::inRange<int64_t>(0, 1200));
  }
  const std::vector<double> expected = made.RunReference();
  ForEachTarget([&](int64_t) {
    SerialShare share;
    AttentionCounters counters;
    const std::vector<float> output = made.Run(share, &counters);
    // x - phi is rounded at the size of phi, not at that of the distance to the maximum.
    RC_ASSERT(LargestDifference(output, expected) < 2e-5);
    RC_ASSERT(counters.rows_recomputed == 0);
    ThreadShare threads(3);
    RC_ASSERT(SameBits(made.Run(threads).data(), output.data(), output.size()));
  });
}

// A call in which some rows' queries were multiplied by 12.
struct Injected {
  explicit Injected(uint64_t seed, int64_t rows, int64_t entries, TileFormat format = TileFormat::kF32) {
    options.shape = Shape(6, 2, 64);
    options.seed = seed;
    options.format = format;
    made = std::make_unique<AttentionCase>(options);
    made->AddSequence(rows, entries);
    std::mt19937_64 random(seed);
    for (int64_t row = 0; row < rows; ++row) {
      for (int head = 0; head < 6; ++head) {
        if (random() % 4 == 0) made->ScaleQuery(row, head, 12.0f);
      }
    }
  }
  // (row, head) pairs with a visible score outside phi + (below, above): all of them for the strict guard;
  // for the relaxed one those whose largest is. In float64, from the reference's scores.
  std::vector<bool> Offenders(const SoftmaxScale& scale) const {
    std::vector<bool> offends;
    for (int64_t row = 0; row < made->rows(); ++row) {
      for (int head = 0; head < 6; ++head) {
        const std::vector<double> scores =
            reference::Scores(made->shape(), made->item(0), made->query(), row, head);
        double largest = -std::numeric_limits<double>::infinity();
        double smallest = -largest;
        for (const double score : scores) {
          largest = std::max(largest, score);
          smallest = std::min(smallest, score);
        }
        offends.push_back(largest - scale.phi >= scale.above || largest - scale.phi <= scale.below ||
                          (scale.strict && smallest - scale.phi <= scale.below));
      }
    }
    return offends;
  }
  CaseOptions options;
  std::unique_ptr<AttentionCase> made;
};

void CheckInjected(const SoftmaxScale& scale, int64_t rows, int64_t entries, TileFormat format) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Injected injected(seed, rows, entries, format);
    AttentionCase& made = *injected.made;
    const std::vector<bool> offends = injected.Offenders(scale);
    const auto count = std::count(offends.begin(), offends.end(), true);
    ASSERT_GT(count, 0);
    ASSERT_LT(count, static_cast<int64_t>(offends.size()));
    ForEachTarget([&](int64_t) {
      SerialShare share;
      const std::vector<float> running = made.Run(share);
      const auto scales = Scales(2, scale);
      made.SetSoftmax(scales);
      AttentionCounters counters;
      const std::vector<float> fixed = made.Run(share, &counters);
      EXPECT_EQ(counters.rows_checked, static_cast<int64_t>(offends.size()));
      EXPECT_EQ(counters.rows_recomputed, count);
      // Without the offenders' neighbours: each row with a bound that nobody reaches.
      const auto wide = Scales(2, {.fixed = true, .phi = scale.phi, .below = -1e9f, .above = 87.0f});
      made.SetSoftmax(wide);
      const std::vector<float> unguarded = made.Run(share);
      made.SetSoftmax({});
      double largest = 0;
      for (size_t pair = 0; pair < offends.size(); ++pair) {
        const size_t at = pair * 64;
        // An offender has the bits of the running maximum; the others those of a call without offenders.
        const std::vector<float>& same = offends[pair] ? running : unguarded;
        EXPECT_TRUE(SameBits(&fixed[at], &same[at], 64)) << pair;
        for (size_t i = at; i < at + 64; ++i)
          largest = std::max(largest, std::abs(static_cast<double>(fixed[i]) - running[i]));
      }
      EXPECT_LT(largest, 1e-5);
    });
  }
}

TEST(FixedSoftmax, RecomputesExactlyTheRowsThatOverflow) {
  const SoftmaxScale scale{.fixed = true, .phi = 0.0f, .below = -60.0f, .above = 20.0f};
  CheckInjected(scale, 40, 700, TileFormat::kF32);  // by blocks
  CheckInjected(scale, 4, 1700, TileFormat::kF16);  // split by spans
}

TEST(FixedSoftmax, RecomputesRowsThatUnderflowAsAWhole) {
  // Scores of unscaled queries stay below 12; only those multiplied by 12 reach phi - 20.
  const SoftmaxScale scale{.fixed = true, .phi = 32.0f, .below = -20.0f, .above = 60.0f};
  CheckInjected(scale, 20, 700, TileFormat::kF32);
  CheckInjected(scale, 3, 1700, TileFormat::kF32);
}

TEST(FixedSoftmax, StrictGuardRecomputesWhereAnyScoreIsTooSmall) {
  const SoftmaxScale scale{.fixed = true, .phi = 0.0f, .below = -15.0f, .above = 15.0f, .strict = true};
  CheckInjected(scale, 20, 300, TileFormat::kF32);
  CheckInjected(scale, 3, 1700, TileFormat::kF32);
}

TEST(FixedSoftmax, PassesAndRefusesTheRowsOfThePaper) {
  // Section 3: phi 6, bounds -3 and 3. (4, 5, 6, 7) passes, (3, 6, 9, 6) is computed again because of 9.
  const std::vector<float> keys[] = {{4, 5, 6, 7}, {3, 6, 9, 6}};
  for (int which = 0; which < 2; ++which) {
    CaseOptions options;
    options.shape = {1, 1, 32, 1.0f, {}};
    AttentionCase made(options);
    made.AddSequence(1, 4);
    std::vector<float> key(32, 0.0f);
    const std::vector<float> value(32, 1.0f);
    for (int entry = 0; entry < 4; ++entry) {
      key[0] = keys[which][static_cast<size_t>(entry)];
      WriteEntry(TileFormat::kF32, 32, entry, key.data(), value.data(),
                 reinterpret_cast<std::byte*>(made.cache(0).memory[0][0].data()));
    }
    made.SetQuery(0, 0, 1.0f);
    const auto scales =
        Scales(1, {.fixed = true, .phi = 6.0f, .below = -3.5f, .above = 3.0f, .strict = true});
    made.SetSoftmax(scales);
    AttentionCounters counters;
    SerialShare share;
    for (const float y : made.Run(share, &counters)) EXPECT_NEAR(y, 1.0f, 1e-6f);
    EXPECT_EQ(counters.rows_checked, 1);
    EXPECT_EQ(counters.rows_recomputed, which);
  }
}

TEST(FixedSoftmax, RecomputesWhereTheWeightedSumLeavesFloat32) {
  CaseOptions options;
  options.shape = {1, 1, 32, 1.0f, {}};
  AttentionCase made(options);
  made.AddSequence(1, 4);
  std::vector<float> key(32, 0.0f);
  key[0] = 80.0f;
  const std::vector<float> value(32, 1e6f);  // exp(80) 1e6 is beyond float32
  for (int entry = 0; entry < 4; ++entry) {
    WriteEntry(TileFormat::kF32, 32, entry, key.data(), value.data(),
               reinterpret_cast<std::byte*>(made.cache(0).memory[0][0].data()));
  }
  made.SetQuery(0, 0, 1.0f);
  const auto scales = Scales(1, {.fixed = true, .phi = 0.0f, .above = 85.0f});
  made.SetSoftmax(scales);
  ForEachTarget([&](int64_t) {
    AttentionCounters counters;
    SerialShare share;
    for (const float y : made.Run(share, &counters)) EXPECT_EQ(y, 1e6f);
    EXPECT_EQ(counters.rows_recomputed, 1);
  });
}

TEST(FixedSoftmax, DoesNotCheckARowThatSeesNothing) {
  CaseOptions options;
  options.shape = Shape(2, 1, 32);
  AttentionCase made(options);
  made.AddSequence(2, 40);
  std::vector<RowView> views(made.item(0).views.begin(), made.item(0).views.end());
  views[1].visible = {};
  made.item(0).views = views;
  const auto scales = Scales(1, {.fixed = true, .phi = 100.0f});
  made.SetSoftmax(scales);
  AttentionCounters counters;
  SerialShare share;
  const std::vector<float> output = made.Run(share, &counters);
  EXPECT_EQ(counters.rows_checked, 2);
  EXPECT_EQ(counters.rows_recomputed, 2);
  for (int64_t i = 0; i < made.columns(); ++i)
    EXPECT_EQ(output[static_cast<size_t>(made.columns() + i)], 0.0f);
}

}  // namespace
}  // namespace hone
