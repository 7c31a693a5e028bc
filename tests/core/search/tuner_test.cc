#include "core/search/tuner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace hone {
namespace {

double First(const std::vector<double>& reading) { return reading[0]; }

TEST(Space, EnumeratesValidCombinations) {
  const Space space{{{1, 2, 3}, {10, 20}}, [](const Configuration& c) { return c[0] * c[1] != 20; }};
  const std::vector<Configuration> expected = {{1, 10}, {2, 20}, {3, 10}, {3, 20}};
  EXPECT_EQ(space.Enumerate(), expected);
}

TEST(Tune, FindsTheLeastOfANoisyCost) {
  // Readings are up to 25 % too high, in no relation to the configuration; the least of one reading each
  // would mislead.
  int readings = 0;
  const Meter meter{MeterKind::kModelled, [&](const Configuration& c) -> Result<std::vector<double>> {
                      const double noise = 0.25 * std::abs(std::sin(12.9898 * ++readings));
                      const double cost = 10.0 + std::abs(static_cast<double>(c[0] - 6)) * 2.0;
                      return std::vector<double>{cost * (1.0 + noise)};
                    }};
  const auto found = Tune({{{0, 2, 4, 5, 6, 7, 8, 16}}, nullptr}, meter, First, {.rounds = 15, .slack = 0.6});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->front().configuration, Configuration{6});
  EXPECT_EQ(found->front().readings, 15);
}

TEST(Tune, ReadsWhatIsFarOffOnce) {
  std::map<int64_t, int> readings;
  const Meter meter{MeterKind::kModelled, [&](const Configuration& c) -> Result<std::vector<double>> {
                      ++readings[c[0]];
                      return std::vector<double>{static_cast<double>(c[0])};
                    }};
  const auto found = Tune({{{100, 110, 200}}, nullptr}, meter, First, {.rounds = 4, .slack = 0.3});
  ASSERT_TRUE(found);
  EXPECT_EQ(readings[100], 4);
  EXPECT_EQ(readings[110], 4);
  EXPECT_EQ(readings[200], 1);
  EXPECT_EQ(found->back().configuration, Configuration{200});
  EXPECT_EQ(found->back().readings, 1);
}

TEST(Tune, ComparesByTheObjective) {
  const Meter meter{MeterKind::kModelled, [](const Configuration& c) -> Result<std::vector<double>> {
                      const auto x = static_cast<double>(c[0]);
                      return std::vector<double>{x, 100.0 / x};
                    }};
  const Objective product = [](const std::vector<double>& r) { return r[0] * r[0] * r[1]; };
  const Objective second = [](const std::vector<double>& r) { return r[1]; };
  const Space space{{{1, 5, 10}}, nullptr};
  EXPECT_EQ(Tune(space, meter, product)->front().configuration, Configuration{1});
  EXPECT_EQ(Tune(space, meter, second)->front().configuration, Configuration{10});
}

TEST(Tune, HandsOnWhatTheMeterSays) {
  const Meter broken{MeterKind::kMeasured,
                     [](const Configuration&) -> Result<std::vector<double>> { return Failed("no sensor"); }};
  EXPECT_EQ(Tune({{{1}}, nullptr}, broken, First).error().message, "no sensor");
  EXPECT_FALSE(Tune({{{}}, nullptr}, broken, First));
}

}  // namespace
}  // namespace hone
