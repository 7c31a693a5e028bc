#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstring>
#include <limits>
#include <vector>

#include "core/kernels/attention.h"
#include "core/kernels/cpu/each_target.h"

namespace hone {
namespace {

// Numbers of every size, those included that half precision rounds to a tie, to infinity or to a denormal.
float Number(uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  switch (state >> 28) {
    case 0:
      return std::numeric_limits<float>::infinity();
    case 1:
      return 65519.0f + static_cast<float>(state >> 8 & 3);
    case 2:
      return static_cast<float>(state & 0xFFFFF) * 0x1p-33f;
    case 3:
      return 2048.0f + static_cast<float>(state >> 8 & 0xFF) * 0.5f;
    default:
      return (static_cast<float>(state >> 8) - 8388608.0f) * 0x1p-20f;
  }
}

TEST(WriteEntries, GivesTheBitsOfWriteEntryOnEveryTarget) {
  test::ForEachTarget([](int64_t) {
    const bool passed = rc::check([] {
      const auto format = *rc::gen::element(TileFormat::kF16, TileFormat::kF32);
      const int64_t head_dim = 8 * *rc::gen::inRange(1, 33);
      const int first = *rc::gen::inRange(0, kTileEntries);
      const int64_t rows = *rc::gen::inRange(0, kTileEntries - first + 1);
      const int64_t key_stride = head_dim + *rc::gen::inRange(0, 9);
      const int64_t value_stride = head_dim + *rc::gen::inRange(0, 9);
      uint32_t state = *rc::gen::arbitrary<uint32_t>();
      std::vector<float> keys(rows * key_stride + 1);
      std::vector<float> values(rows * value_stride + 1);
      for (float& number : keys) number = Number(state);
      for (float& number : values) number = Number(state);
      std::vector<std::byte> one_by_one(TileBytes(format, head_dim), std::byte{0x11});
      std::vector<std::byte> together = one_by_one;
      for (int64_t i = 0; i < rows; ++i) {
        WriteEntry(format, head_dim, first + static_cast<int>(i), keys.data() + i * key_stride,
                   values.data() + i * value_stride, one_by_one.data());
      }
      WriteEntries(format, first, {keys.data(), rows, head_dim, key_stride},
                   {values.data(), rows, head_dim, value_stride}, together.data());
      RC_ASSERT(std::memcmp(one_by_one.data(), together.data(), together.size()) == 0);
    });
    EXPECT_TRUE(passed);
  });
}

}  // namespace
}  // namespace hone
