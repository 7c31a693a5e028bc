#include "training/text/bpe_training.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "core/formats/tokenizer/tokenizer.h"
#include "scratch_folder.h"
#include "training/text/tokenizer_files.h"

namespace hone {
namespace {

using Pieces = std::vector<std::pair<std::string, int64_t>>;

// The algorithm as the paper prints it: recount everything, join the most frequent pair, again.
std::vector<std::pair<int32_t, int32_t>> LearnByRecounting(const Pieces& pieces, int64_t size) {
  std::vector<std::pair<std::vector<int32_t>, int64_t>> words;
  for (const auto& [bytes, count] : pieces) {
    words.emplace_back(std::vector<int32_t>(), count);
    for (const char byte : bytes) words.back().first.push_back(static_cast<uint8_t>(byte));
  }
  std::vector<std::pair<int32_t, int32_t>> merges;
  while (256 + static_cast<int64_t>(merges.size()) < size) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (const auto& [tokens, count] : words) {
      for (size_t i = 0; i + 1 < tokens.size(); ++i) counts[{tokens[i], tokens[i + 1]}] += count;
    }
    std::pair<int32_t, int32_t> best;
    int64_t most = 1;
    for (const auto& [pair, count] : counts) {
      if (count > most) {
        most = count;
        best = pair;
      }
    }
    if (most < 2) break;
    const auto joined = static_cast<int32_t>(256 + merges.size());
    merges.push_back(best);
    for (auto& [tokens, count] : words) {
      std::vector<int32_t> next;
      for (size_t i = 0; i < tokens.size(); ++i) {
        const bool join = i + 1 < tokens.size() && tokens[i] == best.first && tokens[i + 1] == best.second;
        next.push_back(join ? joined : tokens[i]);
        if (join) ++i;
      }
      tokens = next;
    }
  }
  return merges;
}

Pieces PiecesOf(std::string_view text) {
  PieceCounts counts = *PieceCounts::Make(*FindPreTokenizer(kTrainedPreTokenizer));
  counts.Add(text);
  return counts.Sorted();
}

TEST(BpeTraining, JoinsTheMostFrequentPairFirst) {
  const BpeVocabulary vocabulary = LearnBpe({{"abab", 3}, {"bc", 5}}, 258);
  ASSERT_EQ(vocabulary.merges.size(), 2u);
  EXPECT_EQ(vocabulary.tokens[256], "ab");  // 6 times
  EXPECT_EQ(vocabulary.tokens[257], "bc");  // 5 times
}

TEST(BpeTraining, StopsWhereNoPairOccursTwice) {
  EXPECT_EQ(LearnBpe({{"abc", 1}, {"de", 2}}, 1000).tokens.size(), 257u);
  EXPECT_EQ(LearnBpe({}, 1000).tokens.size(), 256u);
}

RC_GTEST_PROP(BpeTraining, EqualsRecountingAfterEveryJoin, ()) {
  std::map<std::string, int64_t> counts;
  const int words = *rc::gen::inRange(1, 12);
  for (int i = 0; i < words; ++i) {
    const auto letters = *rc::gen::container<std::string>(rc::gen::element('a', 'b', 'c'));
    if (!letters.empty()) counts[letters] += *rc::gen::inRange(1, 6);
  }
  const Pieces pieces(counts.begin(), counts.end());
  RC_ASSERT(LearnBpe(pieces, 276).merges == LearnByRecounting(pieces, 276));
}

TEST(BpeTraining, CutsEachDigitAloneAndKeepsSpacesWithTheirWord) {
  const Pieces pieces = PiecesOf("ab 12\nab");
  const Pieces expected = {{"\n", 1}, {" ", 1}, {"1", 1}, {"2", 1}, {"ab", 2}};
  EXPECT_EQ(pieces, expected);
}

TEST(TrainedTokenizer, EncodesByItsMergesAndDecodesToTheText) {
  const std::string text = "the hat, the cat, the rat and the 1234 mats. Über the naïve.\n";
  const BpeVocabulary vocabulary = LearnBpe(PiecesOf(text), 280);
  ScratchFolder folder;
  ASSERT_TRUE(WriteTokenizerFolder(vocabulary, folder.path()));
  const auto tokenizer = Tokenizer::FromFolder(folder.path());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const Encoding encoding = (*tokenizer)->EncodeText(text);
  EXPECT_EQ((*tokenizer)->Decode(encoding.tokens, false), text);
  EXPECT_EQ(encoding.dropped_bytes, 0);
  EXPECT_LT(encoding.tokens.size(), text.size() - 10);  // " the" is one token
  const auto words = static_cast<TokenId>(vocabulary.tokens.size());
  EXPECT_EQ((*tokenizer)->special().bos, words);
  EXPECT_EQ((*tokenizer)->special().eos, words + 1);
  EXPECT_TRUE((*tokenizer)->special().add_bos);
}

TEST(TrainedTokenizer, IsReadBackAsItWasWritten) {
  const BpeVocabulary vocabulary = LearnBpe(PiecesOf("one two one two one \xff\xfe\xff\xfe two"), 270);
  ScratchFolder folder;
  ASSERT_TRUE(WriteTokenizerFolder(vocabulary, folder.path()));
  const auto read = ReadTrainedVocabulary(folder.path());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->merges, vocabulary.merges);
  EXPECT_EQ(read->tokens, vocabulary.tokens);
}

TEST(TrainedTokenizer, RefusesAMergeOfUnknownWords) {
  ScratchFolder folder;
  folder.Write("tokenizer.json", R"({"model": {"merges": ["a b", "ab cd"]}})");
  const auto read = ReadTrainedVocabulary(folder.path());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kBadInput);
  EXPECT_NE(read.error().message.find("ab cd"), std::string::npos);
}

}  // namespace
}  // namespace hone
