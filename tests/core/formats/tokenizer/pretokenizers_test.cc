#include "core/formats/tokenizer/pretokenizers.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <ctime>
#include <functional>

#include "core/formats/tokenizer/vocabulary_files.h"

namespace hone {
namespace {

std::vector<std::string> Pieces(std::string_view pre, std::string_view text) {
  auto splitter = Splitter::Make(StepsOf(*FindPreTokenizer(pre)));
  EXPECT_TRUE(splitter) << splitter.error().message;
  Splitter::Scratch scratch;
  std::vector<Splitter::Piece> pieces;
  int64_t unsplit = 0;
  splitter->Split(text, scratch, pieces, unsplit);
  EXPECT_EQ(unsplit, 0);
  std::vector<std::string> words;
  for (const auto& piece : pieces) words.emplace_back(text.substr(piece.begin, piece.end - piece.begin));
  return words;
}

void RunOnSmallStack(const std::function<void()>& body) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
  pthread_t thread;
  const auto start = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, start, const_cast<std::function<void()>*>(&body)), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

using Words = std::vector<std::string>;

TEST(PreTokenizers, SplitAsTheirExpressionsSay) {
  EXPECT_EQ(Pieces("gpt-2", "Hello  world's 123!"), (Words{"Hello", " ", " world", "'s", " 123", "!"}));
  EXPECT_EQ(Pieces("smollm", "ab 123"), (Words{"ab", " ", "1", "2", "3"}));
  EXPECT_EQ(Pieces("llama-bpe", "a12345 \n\n b'LL"), (Words{"a", "123", "45", " \n\n", " b", "'LL"}));
  EXPECT_EQ(Pieces("qwen2", "12 .x"), (Words{"1", "2", " .", "x"}));
  EXPECT_EQ(Pieces("falcon", "1234 $5"), (Words{"123", "4", " ", "$", "5"}));
  EXPECT_EQ(Pieces("tekken", "HTTPServer aB"), (Words{"HTTPServer", " a", "B"}));
  EXPECT_EQ(Pieces("superbpe", "1234567"), (Words{"1", "234", "567"}));
  EXPECT_EQ(Pieces("afmoe", "12345"), (Words{"12", "345"}));
  EXPECT_EQ(Pieces("kimi-k2", "你好abc'll"), (Words{"你好", "abc'll"}));
  EXPECT_EQ(Pieces("deepseek-v3", "1234!?"), (Words{"123", "4", "!?"}));
  EXPECT_EQ(Pieces("bloom", "a,b c"), (Words{"a", ",", "b", " c"}));
}

TEST(PreTokenizers, LoseNoByteAndAddNone) {
  std::string text = "I'm 12345 naïve 数据 \t\n\n  x\xFF\xC3(\xE2\x82 𝒳 ½ ا";
  for (const PreTokenizer& pre : AllPreTokenizers()) {
    std::string joined;
    for (const std::string& piece : Pieces(pre.name, text)) joined += piece;
    EXPECT_EQ(joined, text) << pre.name;
  }
}

TEST(PreTokenizers, CutLongRunsOnASmallStackInATenthOfASecond) {
  ByteLevelVocabulary vocabulary;
  for (const PreTokenizer& pre : AllPreTokenizers()) {
    const auto tokenizer = LoadTokenizer(vocabulary.Metadata(pre.name));
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    for (const std::string unit :
         {"a", "A", " ", "1", "\n", "!", "é", "数", "\xFF", "'", "\u3000", "aA", " a", "x \n", "́"}) {
      std::string text;
      for (int i = 0; i < 43'000; ++i) text += unit;
      double seconds = 1e9;
      RunOnSmallStack([&] {
        const double begin = ThreadSeconds();
        const Encoding encoding = (*tokenizer)->EncodeText(text);
        seconds = ThreadSeconds() - begin;
        EXPECT_EQ(encoding.unsplit_bytes, 0) << pre.name;
        // The words of this vocabulary are glyphs, not marked words.
        if (!pre.space_marks) {
          EXPECT_TRUE((*tokenizer)->DecodeBytes(encoding.tokens, true) == text) << pre.name << " " << unit;
        }
      });
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
      EXPECT_LT(seconds, 0.1 * static_cast<double>(unit.size())) << pre.name << " " << unit;
#endif
    }
  }
}

}  // namespace
}  // namespace hone
