#include "language/decoding/sampler.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "core/base/random.h"

namespace hone {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Sampler Make(SamplingOptions options, int64_t vocabulary) {
  if (!options.seed) options.seed = 7;
  auto sampler = Sampler::Create(options, vocabulary);
  EXPECT_TRUE(sampler) << sampler.error().message;
  return std::move(*sampler);
}

TokenId Choose(const SamplingOptions& options, std::vector<float> logits,
               const std::vector<TokenId>& tokens = {0}, int64_t prompt = 1) {
  Sampler sampler = Make(options, static_cast<int64_t>(logits.size()));
  const auto token = sampler.Choose({tokens, prompt}, logits);
  EXPECT_TRUE(token) << token.error().message;
  return token ? *token : kNoToken;
}

std::vector<ScoredToken> Distribution(const SamplingOptions& options, std::vector<float> logits,
                                      const std::vector<TokenId>& tokens = {0}, int64_t prompt = 1) {
  Sampler sampler = Make(options, static_cast<int64_t>(logits.size()));
  auto distribution = sampler.Distribution({tokens, prompt}, logits);
  EXPECT_TRUE(distribution) << distribution.error().message;
  return distribution ? *distribution : std::vector<ScoredToken>{};
}

std::vector<float> RandomLogits(size_t count, uint64_t seed) {
  std::vector<float> logits(count);
  for (size_t i = 0; i < count; ++i) logits[i] = 20.0f * RandomUniform(seed, i, 0) - 10.0f;
  return logits;
}

TEST(Sampler, TemperatureZeroTakesTheLargestLogitWhateverTheOtherSettings) {
  SamplingOptions options;
  options.top_k = 1;
  options.top_p = 0.1;
  options.min_p = 0.9;
  options.typical_p = 0.1;
  options.seed = 99;
  EXPECT_EQ(Choose(options, {1.0f, 5.0f, 4.9f, 5.0f}), 1) << "ties go to the lowest id";
}

TEST(Sampler, TruncatesBeforeItAppliesTheTemperature) {
  SamplingOptions options;
  options.top_p = 0.8;
  options.temperature = 0.5;
  // p = 0.665, 0.245, 0.090: two tokens reach 0.8. After the temperature the first alone would have 0.867.
  const auto tokens = Distribution(options, {3.0f, 2.0f, 1.0f});
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_NEAR(tokens[0].logit, 1.0 / (1.0 + std::exp(-2.0)), 1e-6);
}

TEST(Sampler, TreatsTopKOfZeroAndMinusOneAsOff) {
  for (const int64_t k : {0, -1}) {
    SamplingOptions options;
    options.temperature = 1.0;
    options.top_k = k;
    EXPECT_EQ(Distribution(options, {1, 2, 3, 4, 5}).size(), 5u);
  }
}

TEST(Sampler, KeepsTheKMostLikelyAndTheLowestIdAmongEquals) {
  SamplingOptions options;
  options.temperature = 1.0;
  options.top_k = 2;
  const auto tokens = Distribution(options, {1, 7, 9, 7, 7});
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[0].id, 2);
  EXPECT_EQ(tokens[1].id, 1);
}

TEST(Sampler, KeepsTokensWithinAFractionOfTheMostLikely) {
  SamplingOptions options;
  options.temperature = 1.0;
  options.min_p = 0.1;
  const auto tokens = Distribution(options, {0.0f, std::log(0.11f), std::log(0.09f)});
  ASSERT_EQ(tokens.size(), 2u);
}

TEST(Sampler, KeepsTheTokensWhoseSurpriseIsClosestToTheEntropy) {
  // p = 0.4, 0.2, 0.2, 0.2: entropy 1.332, surprises 0.916 and 1.609: the three are the more typical ones.
  SamplingOptions options;
  options.temperature = 1.0;
  options.typical_p = 0.55;
  const auto tokens = Distribution(options, {std::log(0.4f), std::log(0.2f), std::log(0.2f), std::log(0.2f)});
  ASSERT_EQ(tokens.size(), 3u);
  std::set<TokenId> ids;
  for (const ScoredToken& token : tokens) ids.insert(token.id);
  EXPECT_EQ(ids, (std::set<TokenId>{1, 2, 3}));
}

TEST(Sampler, BansATokenAtMinusHundredInEveryMode) {
  SamplingOptions greedy;
  greedy.logit_bias = {{1, -100.0f}};
  EXPECT_EQ(Choose(greedy, {1.0f, 1000.0f, 2.0f}), 2);
  SamplingOptions sampled = greedy;
  sampled.temperature = 1.5;
  for (const ScoredToken& token : Distribution(sampled, {1.0f, 1000.0f, 2.0f})) EXPECT_NE(token.id, 1);
  sampled.top_k = 3;
  EXPECT_EQ(Distribution(sampled, {1.0f, 1000.0f, 2.0f}).size(), 2u);
}

TEST(Sampler, AddsABiasAboveMinusHundred) {
  SamplingOptions options;
  options.logit_bias = {{0, 3.0f}};
  EXPECT_EQ(Choose(options, {1.0f, 3.5f}), 0);
}

TEST(Sampler, RefusesABiasOutsideTheVocabulary) {
  for (const TokenId id : {-1, 3}) {
    SamplingOptions options;
    options.logit_bias = {{id, 1.0f}};
    const auto sampler = Sampler::Create(options, 3);
    ASSERT_FALSE(sampler);
    EXPECT_EQ(sampler.error().message,
              fmt::format("logit_bias: found token {}, expected an id from 0 to 2", id));
  }
}

TEST(Sampler, RefusesSettingsOutOfTheirRangeByName) {
  const auto message = [](auto&& change) {
    SamplingOptions options;
    change(options);
    const auto sampler = Sampler::Create(options, 10);
    return sampler ? std::string("accepted")
                   : sampler.error().message.substr(0, sampler.error().message.find(':'));
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(message([](auto& o) { o.temperature = -0.1; }), "temperature");
  EXPECT_EQ(message([](auto& o) { o.temperature = kNan; }), "temperature");
  EXPECT_EQ(message([](auto& o) { o.top_p = 1.1; }), "top_p");
  EXPECT_EQ(message([](auto& o) { o.min_p = -1; }), "min_p");
  EXPECT_EQ(message([](auto& o) { o.typical_p = 0; }), "typical_p");
  EXPECT_EQ(message([](auto& o) { o.top_k = -2; }), "top_k");
  EXPECT_EQ(message([](auto& o) { o.repetition_penalty = 0; }), "repetition_penalty");
  EXPECT_EQ(message([](auto& o) { o.frequency_penalty = kInfinity; }), "frequency_penalty");
  EXPECT_EQ(message([](auto& o) { o.presence_penalty = kNan; }), "presence_penalty");
}

TEST(Sampler, SaysSoWhenNoTokenIsAllowed) {
  for (const double temperature : {0.0, 1.0}) {
    SamplingOptions options;
    options.temperature = temperature;
    options.logit_bias = {{0, -100.0f}, {1, -200.0f}};
    Sampler sampler = Make(options, 2);
    std::vector<float> logits = {1, 2};
    const std::vector<TokenId> tokens = {0};
    const auto token = sampler.Choose({tokens, 1}, logits);
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().message, "sampling: no token is allowed at position 1");
  }
}

TEST(Sampler, PunishesRepetitionInPromptAndAnswerOnceEachAndGreedilyToo) {
  SamplingOptions options;
  options.repetition_penalty = 2.0;
  // Token 0 stands in the prompt (twice), token 1 in the answer: 8 -> 4, 7 -> 3.5, and 5 wins.
  EXPECT_EQ(Choose(options, {8.0f, 7.0f, 5.0f}, {0, 0, 1}, 2), 2);
  // Negative logits move away from zero.
  EXPECT_EQ(Choose(options, {-1.0f, -1.5f}, {0}, 1), 1);
}

TEST(Sampler, CountsPresenceAndFrequencyInTheAnswerOnly) {
  SamplingOptions options;
  options.presence_penalty = 1.0;
  options.frequency_penalty = 0.5;
  // Token 0 stands in the prompt only: untouched. Token 1 stands twice in the answer: 10 - 1 - 2 * 0.5.
  EXPECT_EQ(Choose(options, {8.1f, 10.0f}, {0, 0, 0, 1, 1}, 3), 0);
  EXPECT_EQ(Choose(options, {7.9f, 10.0f}, {0, 0, 0, 1, 1}, 3), 1);
}

TEST(Sampler, DrawsFreshSeedsAndReportsThem) {
  const auto first = Sampler::Create({}, 10);
  const auto second = Sampler::Create({}, 10);
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->seed(), second->seed());
  SamplingOptions options;
  options.seed = 0;
  EXPECT_EQ(Sampler::Create(options, 10)->seed(), 0u);
}

TEST(Sampler, GivesSeveralChoicesDifferentRepeatableSeeds) {
  EXPECT_EQ(ChoiceSeed(42, 0), 42u);
  std::set<uint64_t> seeds;
  for (int64_t choice = 0; choice < 100; ++choice) seeds.insert(ChoiceSeed(42, choice));
  EXPECT_EQ(seeds.size(), 100u);
  EXPECT_EQ(ChoiceSeed(42, 5), ChoiceSeed(42, 5));
}

TEST(Sampler, DrawsByProbabilityOverWholeVocabulariesAndOverLists) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), -kInfinity, std::log(0.2f)};
  for (const int64_t top_k : {0, 4}) {
    SamplingOptions options;
    options.temperature = 1.0;
    options.top_k = top_k;
    std::map<TokenId, int> counts;
    constexpr int kDraws = 20000;
    Sampler sampler = Make(options, 4);
    std::vector<TokenId> tokens;
    for (int i = 0; i < kDraws; ++i) {
      std::vector<float> row = logits;
      tokens.push_back(0);
      ++counts[*sampler.Choose({tokens, 0}, row)];
    }
    // Five standard deviations of a binomial count.
    EXPECT_NEAR(counts[0], 0.5 * kDraws, 5 * std::sqrt(0.25 * kDraws));
    EXPECT_NEAR(counts[1], 0.3 * kDraws, 5 * std::sqrt(0.21 * kDraws));
    EXPECT_NEAR(counts[3], 0.2 * kDraws, 5 * std::sqrt(0.16 * kDraws));
    EXPECT_EQ(counts[2], 0);
  }
}

TEST(Sampler, SurvivesATinyTemperature) {
  SamplingOptions options;
  options.temperature = 1e-5;
  EXPECT_EQ(Choose(options, {1.0f, 30.0f, -20.0f}), 1);
}

RC_GTEST_PROP(Sampler, ChoosesTheSameTokenForTheSameSeedAndPosition, (uint64_t seed, uint16_t length)) {
  SamplingOptions options;
  options.temperature = 1.0;
  options.seed = seed;
  const std::vector<TokenId> tokens(static_cast<size_t>(length % 100) + 1, 0);
  const std::vector<float> logits = RandomLogits(10000, 3);
  Sampler first = *Sampler::Create(options, 10000);
  Sampler second = *Sampler::Create(options, 10000);
  std::vector<float> a = logits, b = logits, c = logits;
  const std::vector<TokenId> elsewhere(200, 1);
  (void)second.Choose({elsewhere, 0}, c);  // other draws in between change nothing
  RC_ASSERT(*first.Choose({tokens, 1}, a) == *second.Choose({tokens, 1}, b));
}

RC_GTEST_PROP(LargestLogits, AreTheHeadOfASortOfAll, (uint64_t seed)) {
  const auto size = *rc::gen::inRange<size_t>(1, 3000);
  const auto count = *rc::gen::inRange<int64_t>(1, 200);
  const auto levels = *rc::gen::inRange<int>(2, 2000);  // few levels: many ties
  std::vector<float> logits(size);
  for (size_t i = 0; i < size; ++i) {
    logits[i] = std::floor(RandomUniform(seed, i, 0) * static_cast<float>(levels));
    if (RandomUniform(seed, i, 1) < 0.05f) logits[i] = -kInfinity;
  }
  std::vector<TokenId> order;
  for (size_t i = 0; i < size; ++i) {
    if (logits[i] != -kInfinity) order.push_back(static_cast<TokenId>(i));
  }
  std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
  order.resize(std::min(order.size(), static_cast<size_t>(count)));
  std::vector<ScoredToken> largest;
  LargestLogits(logits, count, largest);
  RC_ASSERT(largest.size() == order.size());
  for (size_t i = 0; i < order.size(); ++i) RC_ASSERT(largest[i].id == order[i]);
}

RC_GTEST_PROP(TopP, KeepsTheFewestTokensThatReachTheMass, (uint64_t seed)) {
  const double mass = 0.05 + 0.9 * RandomUniformDouble(seed, 0, 9);
  const std::vector<float> logits = RandomLogits(*rc::gen::inRange<size_t>(2, 5000), seed);
  std::vector<float> sorted = logits;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double sum = 0.0;
  for (const float logit : sorted) sum += std::exp(static_cast<double>(logit));
  size_t expected = 0;
  for (double reached = 0.0; reached < mass; ++expected)
    reached += std::exp(static_cast<double>(sorted[expected])) / sum;
  SamplingOptions options;
  options.temperature = 1.0;
  options.top_p = mass;
  const size_t kept = Distribution(options, logits).size();
  // A token exactly at the border may fall either way with the rounding of the sum.
  RC_ASSERT(kept + 1 >= expected && kept <= expected + 1);
}

TEST(LogProbability, IsTheLogSoftmaxOfTheRawLogits) {
  const std::vector<float> logits = {1.0f, 2.0f, 3.0f};
  EXPECT_NEAR(LogProbability(logits, 2), -0.40760596, 1e-6);
}

TEST(Sampler, ChoosesAmongTheLargestOfALargeVocabulary) {
  constexpr int64_t kVocabulary = 262144;
  SamplingOptions options;
  options.temperature = 0.8;
  options.top_k = 40;
  Sampler sampler = Make(options, kVocabulary);
  const std::vector<float> logits = RandomLogits(kVocabulary, 5);
  std::vector<float> falling = logits;
  std::nth_element(falling.begin(), falling.begin() + 39, falling.end(), std::greater<>());
  std::vector<TokenId> tokens = {1, 2, 3};
  for (int i = 0; i < 50; ++i) {
    std::vector<float> row = logits;
    const auto chosen = sampler.Choose({tokens, 3}, row);
    ASSERT_TRUE(chosen);
    EXPECT_GE(logits[static_cast<size_t>(*chosen)], falling[39]);
    tokens.push_back(*chosen);
  }
}

}  // namespace
}  // namespace hone
