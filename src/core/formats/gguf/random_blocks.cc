// Every quantized type is filled the same way: the quants of a block are drawn from a table of nearly
// Gaussian levels, and the scale is what gives these levels the wanted deviation, varied a little from block
// to block and, where the format allows it, of either sign, so that formats whose levels are not symmetric
// have a mean of zero.
#include "core/formats/gguf/random_blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/tensor/blocks.h"
#include "core/tensor/half.h"

namespace hone {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014), a word at a time.
class RandomBits {
 public:
  explicit RandomBits(uint64_t seed) : state_(seed) {}

  uint64_t Word() {
    uint64_t word = state_ += 0x9e3779b97f4a7c15;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    return word ^ (word >> 31);
  }
  // Uniform in 0 .. count - 1, count a power of two.
  int Below(int count) { return static_cast<int>(Word() >> 32) & (count - 1); }

 private:
  uint64_t state_;
};

// The quantiles (i + 1/2) / count of the sum of four bytes, scaled to deviation 1: within 3.5 of a Gaussian's
// shape, and computed in integers, so that every machine gets the same table.
std::vector<float> GaussianQuantiles(int count) {
  std::array<uint64_t, 1021> ways{1};
  for (int bytes = 1; bytes <= 4; ++bytes) {
    std::array<uint64_t, 1021> more{};
    for (int sum = 0; sum <= 255 * bytes; ++sum) {
      for (int byte = std::max(0, sum - 255 * (bytes - 1)); byte <= std::min(sum, 255); ++byte) {
        more[sum] += ways[sum - byte];
      }
    }
    ways = more;
  }
  constexpr float kDeviation = 147.80166f;  // sqrt(4 (256^2 - 1) / 12)
  std::vector<float> quantiles(count);
  uint64_t below = 0;
  int sum = 0;
  for (int i = 0; i < count; ++i) {
    const uint64_t rank = (2 * static_cast<uint64_t>(i) + 1) * ((1ull << 31) / static_cast<uint64_t>(count));
    while (below + ways[sum] <= rank) below += ways[sum++];
    quantiles[i] = static_cast<float>(sum - 510) / kDeviation;
  }
  return quantiles;
}

// Integer levels for a random byte: round(centre + deviation * Gaussian), held in [low, high].
class Levels {
 public:
  Levels(float centre, float deviation, int low, int high) {
    const std::vector<float> quantiles = GaussianQuantiles(256);
    for (int i = 0; i < 256; ++i) {
      levels_[i] =
          std::clamp(static_cast<int>(std::floor(centre + deviation * quantiles[i] + 0.5f)), low, high);
    }
  }
  int8_t operator[](uint8_t random) const { return levels_[random]; }

  // Draws `count` levels, a multiple of eight.
  void Draw(RandomBits& random, int count, int8_t* out) const {
    for (int i = 0; i < count; i += 8) {
      uint64_t word = random.Word();
      for (int j = 0; j < 8; ++j, word >>= 8) out[i + j] = levels_[word & 255];
    }
  }

  // The root mean square of value(level) over the table: what a scale of 1 gives.
  template <class Value>
  float Deviation(Value value) const {
    double sum = 0;
    for (const int8_t level : levels_)
      sum += static_cast<double>(value(level)) * static_cast<double>(value(level));
    return static_cast<float>(std::sqrt(sum / 256));
  }

 private:
  std::array<int8_t, 256> levels_;
};

// 0.75 to 1.21: what tells one block's scale from the next.
float Variation(RandomBits& random) { return 0.75f + static_cast<float>(random.Below(32)) / 68.0f; }

uint16_t EitherSign(RandomBits& random, float scale) {
  return F32ToF16(scale * Variation(random)) | static_cast<uint16_t>(random.Below(2) << 15);
}

// ---- what a block of each type is filled with

uint8_t LowAndHigh(int low, int high) { return static_cast<uint8_t>(low | high << 4); }

void PackNibbles(const int8_t* levels, uint8_t* quants) {
  for (int j = 0; j < 16; ++j) quants[j] = LowAndHigh(levels[j] & 15, levels[j + 16] & 15);
}

void PackHighBits(const int8_t* levels, uint8_t* bits) {
  std::memset(bits, 0, 4);
  for (int j = 0; j < 32; ++j) bits[j / 8] |= static_cast<uint8_t>((levels[j] >> 4 & 1) << (j % 8));
}

struct FillQ4_0 {
  using Block = BlockQ4_0;
  explicit FillQ4_0(float deviation) : scale(deviation / levels.Deviation([](int q) { return q - 8; })) {}
  Levels levels{8, 3, 0, 15};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[32];
    levels.Draw(random, 32, drawn);
    block.scale = EitherSign(random, scale);
    PackNibbles(drawn, block.quants);
  }
};

struct FillQ4_1 {
  using Block = BlockQ4_1;
  explicit FillQ4_1(float deviation) : scale(deviation / levels.Deviation([](int q) { return q - 7.5f; })) {}
  Levels levels{7.5f, 3, 0, 15};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[32];
    levels.Draw(random, 32, drawn);
    const float varied = scale * Variation(random);
    block.scale = F32ToF16(varied);
    block.minimum = F32ToF16(-7.5f * varied);
    PackNibbles(drawn, block.quants);
  }
};

struct FillQ5_0 {
  using Block = BlockQ5_0;
  explicit FillQ5_0(float deviation) : scale(deviation / levels.Deviation([](int q) { return q - 16; })) {}
  Levels levels{16, 6, 0, 31};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[32];
    levels.Draw(random, 32, drawn);
    block.scale = EitherSign(random, scale);
    PackNibbles(drawn, block.quants);
    PackHighBits(drawn, block.high_bits);
  }
};

struct FillQ5_1 {
  using Block = BlockQ5_1;
  explicit FillQ5_1(float deviation) : scale(deviation / levels.Deviation([](int q) { return q - 15.5f; })) {}
  Levels levels{15.5f, 6, 0, 31};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[32];
    levels.Draw(random, 32, drawn);
    const float varied = scale * Variation(random);
    block.scale = F32ToF16(varied);
    block.minimum = F32ToF16(-15.5f * varied);
    PackNibbles(drawn, block.quants);
    PackHighBits(drawn, block.high_bits);
  }
};

struct FillQ8_0 {
  using Block = BlockQ8_0;
  explicit FillQ8_0(float deviation) : scale(deviation / levels.Deviation([](int q) { return q; })) {}
  Levels levels{0, 42, -127, 127};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    levels.Draw(random, 32, block.quants);
    block.scale = EitherSign(random, scale);
  }
};

// An index into the table of levels: the one nearest to 40 Gaussians.
struct NonlinearIndices : Levels {
  NonlinearIndices() : Levels(7.5f, 3, 0, 15) {}
  float Deviation() const {
    return Levels::Deviation([](int index) { return kNonlinearLevels[index]; });
  }
};

struct FillIQ4_NL {
  using Block = BlockIQ4_NL;
  explicit FillIQ4_NL(float deviation) : scale(deviation / levels.Deviation()) {}
  NonlinearIndices levels;
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[32];
    levels.Draw(random, 32, drawn);
    block.scale = EitherSign(random, scale);
    PackNibbles(drawn, block.quants);
  }
};

struct FillQ2_K {
  using Block = BlockQ2_K;
  explicit FillQ2_K(float deviation) : scale(deviation / levels.Deviation([](int q) { return q - 1.5f; })) {}
  Levels levels{1.5f, 1, 0, 3};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[256];
    levels.Draw(random, 256, drawn);
    for (int j = 0; j < 64; ++j) {
      const int8_t* first = drawn + j / 32 * 128 + j % 32;
      block.quants[j] = static_cast<uint8_t>(first[0] | first[32] << 2 | first[64] << 4 | first[96] << 6);
    }
    for (uint8_t& packed : block.scales) {  // scale and minimum equal: the levels lie around zero
      const int small = 8 + random.Below(8);
      packed = LowAndHigh(small, small);
    }
    block.scale = F32ToF16(scale / 11.5f);
    block.minimum = F32ToF16(1.5f * scale / 11.5f);
  }
};

struct FillQ3_K {
  using Block = BlockQ3_K;
  explicit FillQ3_K(float deviation) : scale(deviation / levels.Deviation([](int q) { return q - 4; })) {}
  Levels levels{4, 1.6f, 0, 7};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[256];
    levels.Draw(random, 256, drawn);
    for (int j = 0; j < 64; ++j) {
      const int8_t* first = drawn + j / 32 * 128 + j % 32;
      block.quants[j] = static_cast<uint8_t>((first[0] & 3) | (first[32] & 3) << 2 | (first[64] & 3) << 4 |
                                             (first[96] & 3) << 6);
    }
    std::memset(block.high_bits, 0, sizeof(block.high_bits));
    for (int i = 0; i < 256; ++i) {
      block.high_bits[i % 32] |= static_cast<uint8_t>((drawn[i] >> 2) << (i / 32));
    }
    std::memset(block.scales, 0, sizeof(block.scales));
    for (int i = 0; i < 16; ++i) {
      const int magnitude = 16 + random.Below(16);
      const int packed = 32 + (random.Below(2) != 0 ? magnitude : -magnitude);
      block.scales[i % 8] |= static_cast<uint8_t>((packed & 15) << (i / 8 * 4));
      block.scales[8 + i % 4] |= static_cast<uint8_t>((packed >> 4) << (i / 4 * 2));
    }
    block.scale = F32ToF16(scale / 23.5f);
  }
};

// Eight scales of 32 to 63 and the same eight minima, packed in six bits each.
void PackScalesOfEight(RandomBits& random, uint8_t* packed) {
  int small[8];
  for (int& scale : small) scale = 32 + random.Below(32);
  for (int i = 0; i < 4; ++i) {
    packed[i] = static_cast<uint8_t>(small[i] | (small[i + 4] >> 4) << 6);
    packed[i + 4] = packed[i];
    packed[i + 8] = LowAndHigh(small[i + 4] & 15, small[i + 4] & 15);
  }
}

void PackNibblesOf256(const int8_t* levels, uint8_t* quants) {
  for (int j = 0; j < 128; ++j) {
    const int8_t* first = levels + j / 32 * 64 + j % 32;
    quants[j] = LowAndHigh(first[0] & 15, first[32] & 15);
  }
}

struct FillQ4_K {
  using Block = BlockQ4_K;
  explicit FillQ4_K(float deviation) : scale(deviation / levels.Deviation([](int q) { return q - 7.5f; })) {}
  Levels levels{7.5f, 3.5f, 0, 15};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[256];
    levels.Draw(random, 256, drawn);
    block.scale = F32ToF16(scale / 47.5f);
    block.minimum = F32ToF16(7.5f * scale / 47.5f);
    PackScalesOfEight(random, block.scales);
    PackNibblesOf256(drawn, block.quants);
  }
};

struct FillQ5_K {
  using Block = BlockQ5_K;
  explicit FillQ5_K(float deviation) : scale(deviation / levels.Deviation([](int q) { return q - 15.5f; })) {}
  Levels levels{15.5f, 7, 0, 31};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[256];
    levels.Draw(random, 256, drawn);
    block.scale = F32ToF16(scale / 47.5f);
    block.minimum = F32ToF16(15.5f * scale / 47.5f);
    PackScalesOfEight(random, block.scales);
    PackNibblesOf256(drawn, block.quants);
    std::memset(block.high_bits, 0, sizeof(block.high_bits));
    for (int i = 0; i < 256; ++i) {
      block.high_bits[i % 32] |= static_cast<uint8_t>((drawn[i] >> 4) << (i / 32));
    }
  }
};

struct FillQ6_K {
  using Block = BlockQ6_K;
  explicit FillQ6_K(float deviation) : scale(deviation / levels.Deviation([](int q) { return q - 32; })) {}
  Levels levels{32, 12, 0, 63};
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[256];
    levels.Draw(random, 256, drawn);
    for (int j = 0; j < 128; ++j) {
      const int8_t* first = drawn + j / 64 * 128 + j % 64;
      block.quants[j] = LowAndHigh(first[0] & 15, first[64] & 15);
    }
    for (int j = 0; j < 64; ++j) {
      const int8_t* first = drawn + j / 32 * 128 + j % 32;
      block.high_bits[j] = static_cast<uint8_t>(first[0] >> 4 | (first[32] >> 4) << 2 |
                                                (first[64] >> 4) << 4 | (first[96] >> 4) << 6);
    }
    for (int8_t& small : block.scales) {
      const int magnitude = 64 + random.Below(64);
      small = static_cast<int8_t>(random.Below(2) != 0 ? magnitude : -magnitude);
    }
    block.scale = F32ToF16(scale / 95.5f);
  }
};

struct FillIQ4_XS {
  using Block = BlockIQ4_XS;
  explicit FillIQ4_XS(float deviation) : scale(deviation / levels.Deviation()) {}
  NonlinearIndices levels;
  float scale;
  void operator()(RandomBits& random, Block& block) const {
    int8_t drawn[256];
    levels.Draw(random, 256, drawn);
    block.scale = F32ToF16(scale / 23.5f);
    block.scales_high = 0;
    std::memset(block.scales_low, 0, sizeof(block.scales_low));
    for (int i = 0; i < 8; ++i) {
      const int magnitude = 16 + random.Below(16);
      const int packed = 32 + (random.Below(2) != 0 ? magnitude : -magnitude);
      block.scales_low[i / 2] |= static_cast<uint8_t>((packed & 15) << (i % 2 * 4));
      block.scales_high |= static_cast<uint16_t>((packed >> 4) << (2 * i));
      PackNibbles(drawn + 32 * i, block.quants + 16 * i);
    }
  }
};

template <class Fill>
class BlockRows : public RandomRows {
 public:
  BlockRows(DType type, float deviation) : elements_(Info(type).elements), fill_(deviation) {}

  void Draw(uint64_t seed, int64_t columns, std::byte* row) const override {
    RandomBits random(seed);
    for (int64_t i = 0; i < columns / elements_; ++i) {
      typename Fill::Block block;
      fill_(random, block);
      std::memcpy(row + i * sizeof(block), &block, sizeof(block));
    }
  }

 private:
  int64_t elements_;
  Fill fill_;
};

template <class T>
class FloatRows : public RandomRows {
 public:
  FloatRows(float deviation, T (*convert)(float)) {
    for (const float quantile : GaussianQuantiles(1 << 16)) values_.push_back(convert(quantile * deviation));
  }

  void Draw(uint64_t seed, int64_t columns, std::byte* row) const override {
    RandomBits random(seed);
    for (int64_t i = 0; i < columns; ++i) {
      std::memcpy(row + i * sizeof(T), &values_[random.Word() & 0xffff], sizeof(T));
    }
  }

 private:
  std::vector<T> values_;
};

}  // namespace

std::unique_ptr<RandomRows> RandomRows::Make(DType type, float deviation) {
  switch (type) {
    case DType::kF32:
      return std::make_unique<FloatRows<float>>(deviation, [](float value) { return value; });
    case DType::kF16:
      return std::make_unique<FloatRows<uint16_t>>(deviation, F32ToF16);
    case DType::kBF16:
      return std::make_unique<FloatRows<uint16_t>>(deviation, F32ToBF16);
    case DType::kQ4_0:
      return std::make_unique<BlockRows<FillQ4_0>>(type, deviation);
    case DType::kQ4_1:
      return std::make_unique<BlockRows<FillQ4_1>>(type, deviation);
    case DType::kQ5_0:
      return std::make_unique<BlockRows<FillQ5_0>>(type, deviation);
    case DType::kQ5_1:
      return std::make_unique<BlockRows<FillQ5_1>>(type, deviation);
    case DType::kQ8_0:
      return std::make_unique<BlockRows<FillQ8_0>>(type, deviation);
    case DType::kQ2_K:
      return std::make_unique<BlockRows<FillQ2_K>>(type, deviation);
    case DType::kQ3_K:
      return std::make_unique<BlockRows<FillQ3_K>>(type, deviation);
    case DType::kQ4_K:
      return std::make_unique<BlockRows<FillQ4_K>>(type, deviation);
    case DType::kQ5_K:
      return std::make_unique<BlockRows<FillQ5_K>>(type, deviation);
    case DType::kQ6_K:
      return std::make_unique<BlockRows<FillQ6_K>>(type, deviation);
    case DType::kIQ4_NL:
      return std::make_unique<BlockRows<FillIQ4_NL>>(type, deviation);
    case DType::kIQ4_XS:
      return std::make_unique<BlockRows<FillIQ4_XS>>(type, deviation);
    case DType::kMixed2:
    case DType::kF64:
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
      return nullptr;
  }
  return nullptr;
}

}  // namespace hone
