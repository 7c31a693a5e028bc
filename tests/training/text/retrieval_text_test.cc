#include "training/text/retrieval_text.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace hone {
namespace {

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(RetrievalCase, AsksForARecordThatIsThereUnderANameOfItsOwn) {
  for (uint64_t index = 0; index < 50; ++index) {
    const RetrievalCase one = MakeRetrievalCase(3, index, 40);
    const std::vector<std::string> lines = Lines(one.records);
    ASSERT_EQ(lines.size(), 40u);
    std::set<std::string> names;
    for (const std::string& line : lines) names.insert(line.substr(0, line.find(':')));
    EXPECT_EQ(names.size(), 40u);
    const std::string& asked = lines[static_cast<size_t>(one.asked)];
    const std::string name = asked.substr(0, asked.find(':'));
    EXPECT_EQ(asked, fmt::format("{}: REGISTER_CONTENT is <{}>", name, one.answer));
    EXPECT_EQ(one.question, fmt::format("The REGISTER_CONTENT of {} is <", name));
  }
}

TEST(RetrievalCase, AsksForEveryPlace) {
  std::set<int64_t> asked;
  for (uint64_t index = 0; index < 400; ++index) asked.insert(MakeRetrievalCase(1, index, 20).asked);
  EXPECT_EQ(asked.size(), 20u);
}

TEST(RetrievalCase, FollowsFromItsSeed) {
  EXPECT_EQ(MakeRetrievalCase(1, 2, 9).records, MakeRetrievalCase(1, 2, 9).records);
  EXPECT_NE(MakeRetrievalCase(1, 2, 9).records, MakeRetrievalCase(2, 2, 9).records);
  EXPECT_NE(MakeRetrievalCase(1, 2, 9).records, MakeRetrievalCase(1, 3, 9).records);
}

TEST(RetrievalDocument, AnswersAQuestionAboutEveryRecord) {
  const std::vector<std::string> lines = Lines(RetrievalDocument(5, 8));
  ASSERT_EQ(lines.size() % 2, 0u);
  const size_t records = lines.size() / 2;
  for (size_t i = 0; i < records; ++i) {
    const std::string name = lines[i].substr(0, lines[i].find(':'));
    const std::string value = lines[i].substr(lines[i].find('<'));
    const std::string answered = fmt::format("The REGISTER_CONTENT of {} is {}", name, value);
    EXPECT_EQ(std::count(lines.begin() + static_cast<int64_t>(records), lines.end(), answered), 1)
        << answered;
  }
}

}  // namespace
}  // namespace hone
