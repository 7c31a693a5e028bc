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

// Largest |a - b|; NaN counts as infinite.
double LargestDifference(const std::vector<float>& a, const std::vector<double>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    largest =
        std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(largest, difference);
  }
  return largest;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

AttentionShape Shape(int heads, int kv_heads, int head_dim) {
  return {heads, kv_heads, head_dim, 1.0f / std::sqrt(static_cast<float>(head_dim)), {}};
}

CaseOptions RandomOptions() {
  CaseOptions options;
  const int kv_heads = *rc::gen::inRange(1, 4);
  options.shape = Shape(kv_heads * *rc::gen::inRange(1, 6), kv_heads, 8 * *rc::gen::inRange(4, 33));
  options.format = *rc::gen::element(TileFormat::kF32, TileFormat::kF16);
  options.rule = *rc::gen::element(VisibilityRule::kCausal, VisibilityRule::kWindow, VisibilityRule::kTree,
                                   VisibilityRule::kHoles, VisibilityRule::kAll, VisibilityRule::kEmpty);
  options.bias = *rc::gen::arbitrary<bool>();
  options.views_by_head = *rc::gen::arbitrary<bool>();
  options.seed = *rc::gen::arbitrary<uint64_t>();
  return options;
}

AttentionCase RandomCase(const CaseOptions& options, int64_t most_entries) {
  AttentionCase made(options);
  const int sequences = *rc::gen::inRange(1, 4);
  for (int i = 0; i < sequences; ++i) {
    const int64_t rows = *rc::gen::element(1, 1, 2, 5, 17, 30);
    made.AddSequence(rows, rows + *rc::gen::inRange<int64_t>(0, most_entries));
  }
  return made;
}

RC_GTEST_PROP(Attention, AgreesWithFloat64OnRandomShapesAndMasks, ()) {
  const AttentionCase made = RandomCase(RandomOptions(), 700);
  const std::vector<double> expected = made.RunReference();
  ForEachTarget([&](int64_t) {
    SerialShare share;
    // Values are weighted means of unit normals; float32 sums over 256 products and 700 entries stay near
    // 1e-6.
    const double difference = LargestDifference(made.Run(share), expected);
    RC_ASSERT(difference < 5e-6);
  });
}

TEST(Attention, AgreesWithFloat64OverSeveralWavesOfSpans) {
  CaseOptions options;
  options.shape = Shape(4, 1, 256);
  AttentionCase made(options);
  made.AddSequence(20, 2000);  // 80 pairs: walked by blocks
  made.AddSequence(3, 1700);   // 12 pairs: split by spans
  const std::vector<double> expected = made.RunReference();
  ForEachTarget([&](int64_t) {
    SerialShare share;
    EXPECT_LT(LargestDifference(made.Run(share), expected), 5e-6);
  });
}

TEST(Attention, GivesZerosToARowThatSeesNothing) {
  CaseOptions options;
  options.shape = Shape(2, 1, 32);
  AttentionCase made(options);
  made.AddSequence(2, 40);
  std::vector<RowView> views(made.item(0).views.begin(), made.item(0).views.end());
  views[1].visible = {};
  made.item(0).views = views;
  SerialShare share;
  const std::vector<float> output = made.Run(share);
  for (int64_t i = 0; i < made.columns(); ++i) {
    EXPECT_NE(output[static_cast<size_t>(i)], 0.0f);
    EXPECT_EQ(output[static_cast<size_t>(made.columns() + i)], 0.0f);
  }
}

RC_GTEST_PROP(Attention, GivesARowTheSameBitsWhateverTheBatchThreadsAndOrder, ()) {
  const AttentionCase made = RandomCase(RandomOptions(), 1500);
  ForEachTarget([&](int64_t target) {
    if (target == HWY_SCALAR && made.rows() > 20) return;  // slow, and the cut is the same code
    SerialShare one;
    const std::vector<float> expected = made.Run(one);
    SerialShare backwards(3, true);
    RC_ASSERT(SameBits(made.Run(backwards), expected));
    ThreadShare threads(3);
    RC_ASSERT(SameBits(made.Run(threads), expected));
    // Each row in a call of its own, all items in one call.
    std::vector<AttentionItem> single;
    for (const AttentionItem& item : made.items()) {
      const int64_t views = static_cast<int64_t>(item.views.size()) / item.rows;
      for (int64_t row = 0; row < item.rows; ++row) {
        single.push_back({item.first_row + row, 1, item.heads,
                          item.views.subspan(static_cast<size_t>(row * views), static_cast<size_t>(views))});
      }
    }
    RC_ASSERT(SameBits(made.Run(one, single), expected));
  });
}

TEST(Attention, GivesTheSameBitsOverWavesAndSplitSpans) {
  for (const TileFormat format : {TileFormat::kF32, TileFormat::kF16}) {
    CaseOptions options;
    options.shape = Shape(4, 2, 128);
    options.format = format;
    AttentionCase made(options);
    made.AddSequence(100, 6000);
    SerialShare one;
    const std::vector<float> expected = made.Run(one);
    std::vector<AttentionItem> pieces;
    const AttentionItem& item = made.items()[0];
    for (int64_t row = 0, count = 1; row < item.rows; row += count, count = 7) {
      count = std::min(count, item.rows - row);
      pieces.push_back(
          {row, count, item.heads, item.views.subspan(static_cast<size_t>(row), static_cast<size_t>(count))});
    }
    EXPECT_TRUE(SameBits(made.Run(one, pieces), expected));
  }
}

// Overwrites entry `entry` of every KV head with `filler`.
void Overwrite(AttentionCase& made, const CaseOptions& options, int64_t entry, float filler) {
  const std::vector<float> numbers(static_cast<size_t>(options.shape.head_dim), filler);
  for (auto& head : made.cache(0).memory) {
    WriteEntry(options.format, options.shape.head_dim, static_cast<int>(entry % kTileEntries), numbers.data(),
               numbers.data(),
               reinterpret_cast<std::byte*>(head[static_cast<size_t>(entry / kTileEntries)].data()));
  }
}

TEST(Attention, IgnoresWhateverUnseenEntriesHold) {
  for (const TileFormat format : {TileFormat::kF32, TileFormat::kF16}) {
    CaseOptions options;
    options.shape = Shape(6, 2, 80);
    options.format = format;
    ForEachTarget([&](int64_t) {
      AttentionCase made(options);
      made.AddSequence(24, 80);
      SerialShare share;
      const std::vector<float> expected = made.Run(share);
      // The last ten entries are seen by the last ten rows only.
      for (const float filler :
           {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
            -std::numeric_limits<float>::infinity(), 3e4f}) {
        for (int64_t entry = 70; entry < 80; ++entry) Overwrite(made, options, entry, filler);
        const std::vector<float> output = made.Run(share);
        const size_t unaffected = static_cast<size_t>(14 * made.columns());
        EXPECT_EQ(std::memcmp(output.data(), expected.data(), unaffected * sizeof(float)), 0) << filler;
        EXPECT_TRUE(std::isfinite(filler) || std::isnan(output[unaffected])) << filler;
      }
    });
  }
}

TEST(Attention, ShowsANanInASeenEntry) {
  CaseOptions options;
  options.shape = Shape(1, 1, 32);
  ForEachTarget([&](int64_t) {
    for (const int64_t entry : {0, 17, 600}) {
      AttentionCase made(options);
      made.AddSequence(1, 1100);
      Overwrite(made, options, entry, std::numeric_limits<float>::quiet_NaN());
      SerialShare share;
      for (const float x : made.Run(share)) EXPECT_TRUE(std::isnan(x));
    }
  });
}

TEST(Attention, TakesABiasOfMinusInfinityAsAMask) {
  CaseOptions options;
  options.shape = Shape(2, 1, 64);
  AttentionCase made(options);
  made.AddSequence(1, 100);
  std::vector<float> bias(100, -std::numeric_limits<float>::infinity());
  std::fill(bias.begin() + 40, bias.begin() + 90, 0.5f);
  const std::vector<EntrySpan> all = {{0, 100}};
  const std::vector<EntrySpan> middle = {{40, 90}};
  std::vector<RowView> views = {{all, bias.data()}};
  made.item(0).views = views;
  ForEachTarget([&](int64_t) {
    SerialShare share;
    views[0] = {middle, nullptr};
    const std::vector<double> expected = made.RunReference();
    views[0] = {all, bias.data()};
    EXPECT_LT(LargestDifference(made.Run(share), expected), 2e-6);
    bias.assign(100, -std::numeric_limits<float>::infinity());
    for (const float x : made.Run(share)) EXPECT_EQ(x, 0.0f);
    std::fill(bias.begin() + 40, bias.begin() + 90, 0.5f);
  });
}

TEST(Attention, NeedsNoTileWhereNobodyLooks) {
  CaseOptions options;
  options.shape = Shape(3, 1, 64);
  options.rule = VisibilityRule::kWindow;
  AttentionCase made(options);
  made.AddSequence(4, 1300);
  SerialShare share;
  const std::vector<float> expected = made.Run(share);
  auto& tiles = made.cache(0).tiles[0];
  std::fill(tiles.begin(), tiles.begin() + (1300 - 4 - 40) / kTileEntries, nullptr);
  EXPECT_TRUE(SameBits(made.Run(share), expected));
}

TEST(Attention, CountsTheTilesThatARowLooksInto) {
  CaseOptions options;
  options.shape = Shape(6, 2, 32);
  AttentionCase made(options);
  made.AddSequence(2, 97);  // positions 95 and 96: 3 tiles and 4
  AttentionCounters counters;
  SerialShare share;
  made.Run(share, &counters);
  EXPECT_EQ(counters.tiles_executed, (3 + 4) * 6);
  made.Run(share, &counters);
  EXPECT_EQ(counters.tiles_executed, 2 * (3 + 4) * 6);
}

TEST(Attention, ReadsStridedQueriesAndWritesStridedOutput) {
  CaseOptions options;
  options.shape = Shape(2, 1, 40);
  AttentionCase made(options);
  made.AddSequence(3, 50);
  SerialShare share;
  const std::vector<float> expected = made.Run(share);
  const int64_t columns = made.columns();
  std::vector<float> wide(static_cast<size_t>(3 * (columns + 24)), -7.0f);
  MatrixView<float> view(wide.data(), 3, columns, columns + 24);
  for (int64_t row = 0; row < 3; ++row) std::copy_n(made.query().row(row), columns, view.row(row));
  // Query and output may not be one matrix in general; here each pair is read before it is written.
  std::vector<float> out(wide.size(), -7.0f);
  MatrixView<float> out_view(out.data(), 3, columns, columns + 24);
  Attention(share, made.shape(), made.items(), view, out_view, {}, nullptr);
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t i = 0; i < columns + 24; ++i) {
      EXPECT_EQ(out_view.row(row)[i], i < columns ? expected[static_cast<size_t>(row * columns + i)] : -7.0f);
    }
  }
}

TEST(Attention, RunsTinyWorkOnTheCaller) {
  CaseOptions options;
  options.shape = Shape(9, 3, 64);
  AttentionCase small(options);
  small.AddSequence(1, 40);
  SerialShare share(2);
  small.Run(share);
  EXPECT_EQ(share.loops, 0);
  AttentionCase large(options);
  large.AddSequence(1, 3000);
  large.Run(share);
  EXPECT_EQ(share.loops, 1);
}

TEST(KvTile, KeepsFloatsAndRoundsHalvesToNearestEven) {
  ForEachTarget([&](int64_t) {
    const std::vector<std::pair<float, float>> rounded = {{1.0f, 1.0f},
                                                          {2049.0f, 2048.0f},
                                                          {2051.0f, 2052.0f},
                                                          {65519.0f, 65504.0f},
                                                          {-0.0f, -0.0f},
                                                          {0x1p-24f, 0x1p-24f},
                                                          {0x1p-25f, 0.0f},
                                                          {0x1.8p-24f, 0x1p-23f},
                                                          {0x1.002p-14f, 0x1p-14f},
                                                          {0x1.ffep-15f, 0x1p-14f},
                                                          {-3.14159274f, -3.140625f},
                                                          {0x1p-60f, 0.0f}};
    std::vector<float> key(32, 0.0f);
    std::vector<float> value(32, 0.0f);
    for (size_t i = 0; i < rounded.size(); ++i) key[i] = value[31 - i] = rounded[i].first;
    key[20] = std::numeric_limits<float>::quiet_NaN();
    value[3] = std::numeric_limits<float>::infinity();
    key[21] = -65520.0f;
    for (const TileFormat format : {TileFormat::kF32, TileFormat::kF16}) {
      std::vector<std::byte> tile(static_cast<size_t>(TileBytes(format, 32)));
      std::vector<float> read_key(32);
      std::vector<float> read_value(32);
      WriteEntry(format, 32, 13, key.data(), value.data(), tile.data());
      ReadEntry(format, 32, 13, tile.data(), read_key.data(), read_value.data());
      for (size_t i = 0; i < rounded.size(); ++i) {
        const float expected = format == TileFormat::kF32 ? rounded[i].first : rounded[i].second;
        EXPECT_EQ(std::bit_cast<uint32_t>(read_key[i]), std::bit_cast<uint32_t>(expected))
            << rounded[i].first;
        EXPECT_EQ(read_value[31 - i], expected) << rounded[i].first;
      }
      EXPECT_TRUE(std::isnan(read_key[20]));
      EXPECT_EQ(read_value[3], std::numeric_limits<float>::infinity());
      EXPECT_EQ(read_key[21],
                format == TileFormat::kF32 ? -65520.0f : -std::numeric_limits<float>::infinity());
      // The other entries are untouched.
      ReadEntry(format, 32, 12, tile.data(), read_key.data(), read_value.data());
      EXPECT_EQ(read_key, std::vector<float>(32, 0.0f));
      EXPECT_EQ(read_value, std::vector<float>(32, 0.0f));
    }
  });
}

}  // namespace
}  // namespace hone
