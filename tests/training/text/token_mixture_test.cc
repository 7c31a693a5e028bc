#include "training/text/token_mixture.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <set>

namespace hone {
namespace {

// A source whose tokens count up from `first`, so that a window tells where it comes from.
TokenSource Counting(const char* name, double share, int64_t tokens, TrainingToken first) {
  TokenSource source{.name = name, .share = share};
  source.tokens.resize(static_cast<size_t>(tokens));
  std::iota(source.tokens.begin(), source.tokens.end(), first);
  return source;
}

RC_GTEST_PROP(ShuffledIndex, IsAPermutation, ()) {
  const auto count = *rc::gen::inRange<uint64_t>(1, 300);
  const auto key = *rc::gen::arbitrary<uint64_t>();
  std::set<uint64_t> seen;
  for (uint64_t i = 0; i < count; ++i) seen.insert(ShuffledIndex(i, count, key));
  RC_ASSERT(seen.size() == count);
  RC_ASSERT(*seen.rbegin() == count - 1);
}

TEST(TokenMixture, GivesEachSourceItsShareWithinOneWindow) {
  const std::vector<TokenSource> sources = {Counting("a", 3.0, 1000, 0), Counting("b", 1.0, 1000, 10000)};
  TokenMixture mixture = *TokenMixture::Make(sources, 10, 7);
  std::vector<TrainingToken> window(11);
  int from_a = 0;
  for (int i = 1; i <= 200; ++i) {
    mixture.Next(window);
    from_a += window[0] < 10000 ? 1 : 0;
    EXPECT_NEAR(from_a, 0.75 * i, 1.0) << "after " << i;
  }
}

TEST(TokenMixture, ReadsEveryWindowOnceInAnEpochAndInAnotherOrderInTheNext) {
  const std::vector<TokenSource> sources = {Counting("a", 1.0, 521, 0)};
  TokenMixture mixture = *TokenMixture::Make(sources, 10, 7);  // 51 windows, one short of what fits
  std::vector<TrainingToken> window(11);
  std::vector<std::vector<TrainingToken>> epochs(2);
  for (auto& starts : epochs) {
    for (int i = 0; i < 51; ++i) {
      mixture.Next(window);
      for (size_t j = 0; j < window.size(); ++j) ASSERT_EQ(window[j], window[0] + j);
      starts.push_back(window[0]);
    }
    EXPECT_EQ(std::set(starts.begin(), starts.end()).size(), 51u);
    EXPECT_FALSE(std::is_sorted(starts.begin(), starts.end()));
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_DOUBLE_EQ(mixture.Epochs()[0], 2.0);
}

RC_GTEST_PROP(TokenMixture, GoesOnAfterASkipAsIfNothingHadBeenLeftOut, ()) {
  const std::vector<TokenSource> sources = {Counting("a", 1.0, 200, 0), Counting("b", 0.3, 90, 1000)};
  const auto skipped = *rc::gen::inRange(0, 300);
  TokenMixture whole = *TokenMixture::Make(sources, 7, 3);
  TokenMixture resumed = *TokenMixture::Make(sources, 7, 3);
  std::vector<TrainingToken> expected(8);
  std::vector<TrainingToken> found(8);
  for (int i = 0; i < skipped; ++i) whole.Next(expected);
  resumed.Skip(skipped);
  for (int i = 0; i < 20; ++i) {
    whole.Next(expected);
    resumed.Next(found);
    RC_ASSERT(found == expected);
  }
}

TEST(TokenMixture, RefusesATextThatIsTooShortByItsName) {
  const std::vector<TokenSource> sources = {Counting("short.txt", 1.0, 20, 0)};
  const auto mixture = TokenMixture::Make(sources, 10, 1);
  ASSERT_FALSE(mixture);
  EXPECT_EQ(mixture.error().message, "short.txt: tokens: found 20, expected at least 22 for windows of 10");
}

}  // namespace
}  // namespace hone
