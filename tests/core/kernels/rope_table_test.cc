#include "core/kernels/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/kernels/elementwise.h"

namespace hone {
namespace {

// From transformers; tests/golden/rope/make_rope_golden.py made it.
const nlohmann::json& Golden() {
  static const nlohmann::json golden =
      nlohmann::json::parse(std::ifstream(HONE_SOURCE_DIR "/tests/golden/rope/rope.json"));
  return golden;
}

RopeConfig ConfigOf(const nlohmann::json& golden) {
  RopeConfig config;
  config.dimensions = golden["dimensions"];
  config.base = golden["base"];
  const nlohmann::json& parameters = golden["parameters"];
  RopeScaling& scaling = config.scaling;
  const std::string kind = parameters["rope_type"];
  if (kind == "linear") scaling.kind = RopeScalingKind::kLinear;
  if (kind == "yarn") scaling.kind = RopeScalingKind::kYarn;
  if (kind == "llama3") scaling.kind = RopeScalingKind::kLlama3;
  if (kind == "longrope") scaling.kind = RopeScalingKind::kLongRope;
  scaling.factor = parameters["factor"];
  scaling.original_context = parameters.value("original_max_position_embeddings", 0);
  scaling.attention_factor = parameters.value("attention_factor", 0.0);
  scaling.beta_fast = parameters.value("beta_fast", 32.0);
  scaling.beta_slow = parameters.value("beta_slow", 1.0);
  scaling.mscale = parameters.value("mscale", 0.0);
  scaling.mscale_all_dim = parameters.value("mscale_all_dim", 0.0);
  scaling.low_frequency_factor = parameters.value("low_freq_factor", 1.0);
  scaling.high_frequency_factor = parameters.value("high_freq_factor", 4.0);
  scaling.short_factors = parameters.value("short_factor", std::vector<float>());
  scaling.long_factors = parameters.value("long_factor", std::vector<float>());
  return config;
}

RopeFrequencies Make(const RopeConfig& config, LongRopeSet set = LongRopeSet::kShort) {
  Result<RopeFrequencies> made = MakeRopeFrequencies("model.gguf", config, set);
  EXPECT_TRUE(made.has_value()) << made.error().message;
  return std::move(made).value();
}

TEST(RopeFrequencies, AgreeWithTransformersForEveryScaling) {
  ASSERT_EQ(Golden()["frequencies"].size(), 13u);
  for (const nlohmann::json& golden : Golden()["frequencies"]) {
    SCOPED_TRACE(golden["name"].get<std::string>());
    const RopeConfig config = ConfigOf(golden);
    const bool is_long = golden["seq_len"].is_number() && golden["seq_len"] > config.scaling.original_context;
    const RopeFrequencies made = Make(config, is_long ? LongRopeSet::kLong : LongRopeSet::kShort);
    const auto radians = golden["radians"].get<std::vector<double>>();
    ASSERT_EQ(made.radians.size(), radians.size());
    // The reference computes in float32.
    for (size_t i = 0; i < radians.size(); ++i)
      EXPECT_NEAR(made.radians[i], radians[i], 2e-6 * radians[i]) << i;
    EXPECT_NEAR(made.magnitude, golden["magnitude"].get<double>(), 1e-12);
  }
}

TEST(RopeFrequencies, TakeLlama3ScalingFromTheFilesFactors) {
  RopeConfig config;
  config.dimensions = 128;
  config.base = 500000.0;
  const RopeFrequencies plain = Make(config);
  config.scaling = {.kind = RopeScalingKind::kLlama3, .factor = 8.0, .original_context = 8192};
  const RopeFrequencies by_numbers = Make(config);
  for (size_t i = 0; i < plain.pairs(); ++i) {
    config.scaling.factors.push_back(static_cast<float>(plain.radians[i] / by_numbers.radians[i]));
  }
  config.scaling.factor = 1.0;
  config.scaling.original_context = 0;
  const RopeFrequencies by_factors = Make(config);
  for (size_t i = 0; i < plain.pairs(); ++i) {
    EXPECT_NEAR(by_factors.radians[i], by_numbers.radians[i], 1e-7 * by_numbers.radians[i]);
  }
  EXPECT_EQ(config.scaling.factors.front(), 1.0f);
  EXPECT_NEAR(config.scaling.factors.back(), 8.0f, 1e-5f);
}

TEST(RopeFrequencies, StayExactAtPositionsOfMillions) {
  RopeConfig config;
  config.dimensions = 64;
  const RopeFrequencies made = Make(config);
  std::vector<float> cos(32);
  std::vector<float> sin(32);
  for (const int32_t position : {100'001, 1'048'575, 16'777'217}) {
    made.Fill({position, position, position}, cos, sin);
    for (int i = 0; i < 32; ++i) {
      const long double angle = position * powl(10000.0L, -i / 32.0L);
      EXPECT_NEAR(cos[static_cast<size_t>(i)], static_cast<double>(cosl(angle)), 1e-7);
      EXPECT_NEAR(sin[static_cast<size_t>(i)], static_cast<double>(sinl(angle)), 1e-7);
    }
  }
}

TEST(RopeFrequencies, ApplyTheMagnitudeOnceToCosineAndSine) {
  RopeConfig config;
  config.dimensions = 32;
  config.scaling = {.kind = RopeScalingKind::kYarn, .factor = 4.0, .original_context = 4096};
  const RopeFrequencies made = Make(config);
  const double expected = 0.1 * std::log(4.0) + 1.0;
  std::vector<float> cos(16);
  std::vector<float> sin(16);
  made.Fill({777, 0, 0}, cos, sin);
  for (size_t i = 0; i < 16; ++i) EXPECT_NEAR(std::hypot(cos[i], sin[i]), expected, 1e-6);
}

TEST(Rope, RotatesAsTransformersDoes) {
  for (const nlohmann::json& golden : Golden()["rotated"]) {
    RopeConfig config;
    config.dimensions = golden["rotated"];
    const RopeFrequencies frequencies = Make(config);
    const RopePairs pairs = golden["pairs"] == "halves" ? RopePairs::kHalves : RopePairs::kNeighbours;
    std::vector<float> cos(frequencies.pairs());
    std::vector<float> sin(frequencies.pairs());
    for (size_t row = 0; row < golden["positions"].size(); ++row) {
      const int32_t position = golden["positions"][row];
      frequencies.Fill({position, position, position}, cos, sin);
      auto x = golden["x"][row].get<std::vector<float>>();
      const auto y = golden["y"][row].get<std::vector<float>>();
      Rope(pairs, cos, sin, x);
      // The reference's float32 angles are off by up to 1000 / 2^24.
      for (size_t i = 0; i < x.size(); ++i)
        EXPECT_NEAR(x[i], y[i], 3e-4) << golden["pairs"] << " " << position;
    }
  }
}

TEST(RopeFrequencies, TurnEachPairByItsAxis) {
  for (const nlohmann::json& golden : Golden()["multimodal"]) {
    const auto sections = golden["sections"].get<std::vector<int>>();
    RopeConfig config;
    config.dimensions = 128;
    config.axes = golden["layout"] == "consecutive" ? ConsecutiveAxes(sections) : InterleavedAxes(sections);
    const RopeFrequencies made = Make(config);
    std::vector<float> cos(64);
    std::vector<float> sin(64);
    made.Fill(golden["position"].get<std::array<int32_t, 3>>(), cos, sin);
    for (size_t i = 0; i < 64; ++i) {
      EXPECT_NEAR(cos[i], golden["cos"][i].get<double>(), 5e-6) << golden["layout"] << " " << i;
      EXPECT_NEAR(sin[i], golden["sin"][i].get<double>(), 5e-6) << golden["layout"] << " " << i;
    }
  }
}

std::string ErrorOf(const RopeConfig& config, LongRopeSet set = LongRopeSet::kShort) {
  const Result<RopeFrequencies> made = MakeRopeFrequencies("model.gguf", config, set);
  if (made.has_value()) return "";
  EXPECT_EQ(made.error().kind, ErrorKind::kBadInput);
  return made.error().message;
}

TEST(RopeFrequencies, RefuseHostileNumbers) {
  const RopeConfig good{.dimensions = 64};
  EXPECT_EQ(ErrorOf(good), "");
  RopeConfig bad = good;
  bad.dimensions = 63;
  EXPECT_EQ(ErrorOf(bad), "model.gguf: rotated dimensions: 63, expected a positive even number");
  for (const double base : {0.0, -1.0, 1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
    bad = good;
    bad.base = base;
    EXPECT_NE(ErrorOf(bad), "") << base;
  }
  bad = good;
  bad.scaling.factors.assign(31, 1.0f);
  EXPECT_EQ(ErrorOf(bad), "model.gguf: RoPE factors: 31 of them, expected 32");
  bad.scaling.factors = std::vector<float>(32, 1.0f);
  bad.scaling.factors[5] = 0.0f;
  EXPECT_EQ(ErrorOf(bad), "model.gguf: RoPE factors: 0 at 5, expected a positive number");
  for (const RopeScalingKind kind : {RopeScalingKind::kLinear, RopeScalingKind::kYarn}) {
    bad = good;
    bad.scaling = {.kind = kind, .factor = 0.0, .original_context = 4096};
    EXPECT_EQ(ErrorOf(bad), "model.gguf: RoPE scaling factor: 0, expected a positive number");
  }
  bad.scaling = {.kind = RopeScalingKind::kYarn, .factor = 4.0};
  EXPECT_EQ(ErrorOf(bad), "model.gguf: RoPE original context: 0, expected more than 1");
  bad.scaling = {
      .kind = RopeScalingKind::kLlama3, .factor = 8.0, .original_context = 8192, .low_frequency_factor = 4.0};
  EXPECT_NE(ErrorOf(bad), "");
  bad.scaling = {.kind = RopeScalingKind::kLongRope, .factor = 8.0, .original_context = 4096};
  bad.scaling.short_factors.assign(32, 1.0f);
  EXPECT_EQ(ErrorOf(bad), "");
  EXPECT_EQ(ErrorOf(bad, LongRopeSet::kLong), "model.gguf: LongRoPE long factors: 0 of them, expected 32");
  bad = good;
  bad.axes.assign(32, 3);
  EXPECT_NE(ErrorOf(bad), "");
}

}  // namespace
}  // namespace hone
