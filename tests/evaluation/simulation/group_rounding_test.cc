#include "evaluation/simulation/group_rounding.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

namespace hone {
namespace {

class Bytes {
 public:
  explicit Bytes(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    bytes_ = text.str();
  }
  template <class T>
  std::vector<T> Take(size_t count) {
    std::vector<T> values(count);
    if (at_ + count * sizeof(T) > bytes_.size()) {
      ADD_FAILURE() << "the golden file is too short";
      return values;
    }
    std::memcpy(values.data(), bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return values;
  }
  bool empty() const { return at_ == bytes_.size(); }

 private:
  std::string bytes_;
  size_t at_ = 0;
};

TEST(GroupRounding, HasTheCodesOfTheReferenceForTwentyTensors) {
  Bytes golden(std::string(HONE_SOURCE_DIR) + "/tests/golden/rounding/groups.bin");
  const int tensors = golden.Take<int32_t>(1)[0];
  ASSERT_EQ(tensors, 20);
  for (int t = 0; t < tensors; ++t) {
    const auto head = golden.Take<int32_t>(4);
    const int bits = head[0];
    const auto group = static_cast<size_t>(head[1]);
    const auto size = static_cast<size_t>(head[3]);
    const auto x = golden.Take<float>(size);
    const auto codes = golden.Take<int16_t>(size);
    const auto scales = golden.Take<float>(size / group);
    const auto zeros = golden.Take<int16_t>(size / group);
    for (size_t g = 0; g < size / group; ++g) {
      const auto some = std::span(x).subspan(g * group, group);
      const AsymmetricGrid asymmetric = AsymmetricGridOf(some, bits);
      const SymmetricGrid symmetric = SymmetricGridOf(some, bits);
      EXPECT_EQ(head[2] != 0 ? symmetric.scale : asymmetric.scale, scales[g]) << t;
      if (head[2] == 0) {
        EXPECT_EQ(asymmetric.zero, zeros[g]) << t;
      }
      for (size_t i = 0; i < group; ++i)
        ASSERT_EQ(head[2] != 0 ? symmetric.Code(some[i]) : asymmetric.Code(some[i]), codes[g * group + i])
            << "tensor " << t << ", value " << i;
    }
  }
  EXPECT_TRUE(golden.empty());
}

RC_GTEST_PROP(GroupRounding, LosesAtMostHalfAStepInGroupsAroundZero, ()) {
  const auto raw = *rc::gen::container<std::vector<int>>(32, rc::gen::inRange(-1000, 1000));
  const int bits = *rc::gen::inRange(2, 9);
  std::vector<float> x;
  for (const int value : raw) x.push_back(static_cast<float>(value) / 37.0f);
  x[0] = std::min(x[0], -0.5f);
  x[1] = std::max(x[1], 0.5f);
  std::vector<float> y = x;
  RoundAsymmetric(y, bits, 32);
  const AsymmetricGrid grid = AsymmetricGridOf(x, bits);
  // The zero point is whole, so the ends of the range may lose up to a whole step.
  for (size_t i = 0; i < x.size(); ++i) RC_ASSERT(std::abs(x[i] - y[i]) <= grid.scale * 1.001f);
}

TEST(StoredGrid, IsTheGridUpToTheRoundingOfHalves) {
  const std::vector<float> x = {-1.3f, 0.2f, 0.9f, 2.4f};
  const AsymmetricGrid grid = AsymmetricGridOf(x, 4);
  const StoredGrid stored = StoredGridOf(grid);
  for (int code = 0; code <= 15; ++code) EXPECT_NEAR(stored.Value(code), grid.Value(code), 3e-3f);
}

}  // namespace
}  // namespace hone
