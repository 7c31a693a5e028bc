#include "language/decoding/stop_strings.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace hone {
namespace {

struct Outcome {
  std::string sent;
  bool stopped = false;
  bool operator==(const Outcome&) const = default;
};

Outcome Feed(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  auto stop = StopStrings::Create(stops);
  EXPECT_TRUE(stop);
  Outcome outcome;
  for (const std::string& piece : pieces) {
    outcome.stopped = stop->Feed(piece, outcome.sent);
    if (outcome.stopped) return outcome;
  }
  outcome.stopped = stop->Finish(outcome.sent);
  return outcome;
}

TEST(StopStrings, MatchOverPieceBorders) {
  EXPECT_EQ(Feed({"\nUser:"}, {"Yes.", "\nU", "ser", ": no", " more"}), (Outcome{"Yes.", true}));
}

TEST(StopStrings, SendNeitherTheMatchNorWhatFollows) {
  EXPECT_EQ(Feed({"END"}, {"one END two END"}), (Outcome{"one ", true}));
}

TEST(StopStrings, TakeTheLeftmostWhereSeveralMatch) {
  EXPECT_EQ(Feed({"world", "lo"}, {"hello world"}), (Outcome{"hel", true}));
  EXPECT_EQ(Feed({"bc", "abcd"}, {"xabcd"}), (Outcome{"x", true}));
  EXPECT_EQ(Feed({"bc", "abcd"}, {"xa", "bc", "d"}), (Outcome{"x", true}))
      << "one that began earlier is waited for";
  EXPECT_EQ(Feed({"bc", "abcd"}, {"xa", "bc", "e"}), (Outcome{"xa", true}));
  EXPECT_EQ(Feed({"bc", "abcd"}, {"xa", "bc"}), (Outcome{"xa", true})) << "a waiting match counts at the end";
}

TEST(StopStrings, HoldBackWhatMayBecomeAMatchAndFlushItAtTheEnd) {
  auto stop = StopStrings::Create({"abc"});
  std::string sent;
  EXPECT_FALSE(stop->Feed("xxab", sent));
  EXPECT_EQ(sent, "xx");
  EXPECT_FALSE(stop->Finish(sent));
  EXPECT_EQ(sent, "xxab");
}

TEST(StopStrings, FindAMatchThatOverlapsItsOwnBeginning) {
  EXPECT_EQ(Feed({"aab"}, {"a", "a", "a", "b"}), (Outcome{"a", true}));
}

TEST(StopStrings, RefuseAnEmptyString) {
  const auto stop = StopStrings::Create({"x", ""});
  ASSERT_FALSE(stop);
  EXPECT_EQ(stop.error().message, "stop: found an empty string, expected at least one character");
}

// The text before the first place where any stop string begins, whatever the pieces.
RC_GTEST_PROP(StopStrings, DoNotDependOnWhereThePiecesAreCut, ()) {
  const auto letter = rc::gen::element('a', 'b', 'c');
  const auto text = *rc::gen::container<std::string>(letter);
  const auto stops = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(
      rc::gen::nonEmpty(rc::gen::container<std::string>(letter))));
  std::vector<std::string> pieces;
  for (size_t begin = 0; begin < text.size();) {
    const auto size = *rc::gen::inRange<size_t>(1, 4);
    pieces.push_back(text.substr(begin, size));
    begin += size;
  }
  size_t first = std::string::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  const Outcome expected{text.substr(0, first), first != std::string::npos};
  RC_ASSERT(Feed(stops, pieces) == expected);
}

}  // namespace
}  // namespace hone
