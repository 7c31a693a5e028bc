// Files that lie: each is refused in one line that names the field.
#include <gtest/gtest.h>

#include <random>

#include "core/formats/tokenizer/vocabulary_files.h"

namespace hone {
namespace {

std::string Refusal(const MetadataWriter& metadata) {
  const auto tokenizer = LoadTokenizer(metadata);
  if (tokenizer) return "accepted";
  EXPECT_EQ(tokenizer.error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(tokenizer.error().message.find('\n'), std::string::npos);
  return tokenizer.error().message;
}

#define EXPECT_REFUSED(metadata, words) \
  EXPECT_NE(Refusal(metadata).find(words), std::string::npos) << Refusal(metadata)

TEST(HostileVocabularies, NameTheKindThatIsNotSupported) {
  for (const auto& [model, what] :
       {std::pair{"bert", "WordPiece"}, {"t5", "Unigram"}, {"rwkv", "RWKV"}, {"xyz", "xyz"}}) {
    MetadataWriter metadata;
    metadata.Text("tokenizer.ggml.model", model);
    EXPECT_REFUSED(metadata, what);
  }
  EXPECT_REFUSED(MetadataWriter(), "tokenizer.ggml.model: absent");
}

TEST(HostileVocabularies, AreRefusedWhereListsDisagree) {
  SentencePieceVocabulary short_scores;
  short_scores.scores.pop_back();
  EXPECT_REFUSED(short_scores.Metadata(), "tokenizer.ggml.scores: ");
  ByteLevelVocabulary short_types;
  short_types.types.pop_back();
  EXPECT_REFUSED(short_types.Metadata("gpt-2"), "tokenizer.ggml.token_type: ");
  ByteLevelVocabulary none;
  none.tokens.clear();
  none.types.clear();
  EXPECT_REFUSED(none.Metadata("gpt-2"), "tokenizer.ggml.tokens: ");
}

TEST(HostileVocabularies, AreRefusedWhereMergesNameUnknownTokens) {
  ByteLevelVocabulary v;
  v.merges.push_back("zq z");
  EXPECT_REFUSED(v.Metadata("gpt-2"), "tokenizer.ggml.merges: merge 7 is \"zq z\"");
  v.merges.back() = "nospace";
  EXPECT_REFUSED(v.Metadata("gpt-2"), "merge 7 is \"nospace\"");
  v.merges.back() = "";
  EXPECT_REFUSED(v.Metadata("gpt-2"), "merge 7");
  v.merges.back() = "q z";
  EXPECT_REFUSED(v.Metadata("gpt-2"), "merge 7");
}

TEST(HostileVocabularies, AreRefusedWhereSpecialIdsAreOutOfRange) {
  MetadataWriter metadata = ByteLevelVocabulary().Metadata("gpt-2");
  metadata.Unsigned("tokenizer.ggml.bos_token_id", 1000000);
  EXPECT_REFUSED(metadata, "tokenizer.ggml.bos_token_id: 1000000");
  MetadataWriter none = ByteLevelVocabulary().Metadata("gpt-2");
  none.Unsigned("tokenizer.ggml.padding_token_id", 0xFFFFFFFF);
  const auto tokenizer = LoadTokenizer(none);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ((*tokenizer)->special().padding, kNoToken);
}

TEST(HostileVocabularies, AreRefusedWhereTokensRepeat) {
  ByteLevelVocabulary v;
  v.Add("hello", 1);
  EXPECT_REFUSED(v.Metadata("gpt-2"), "tokenizer.ggml.tokens: tokens");
}

TEST(HostileVocabularies, AreRefusedWhereAByteTokenIsNone) {
  SentencePieceVocabulary v;
  v.tokens[5] = "<0xZZ>";
  EXPECT_REFUSED(v.Metadata(), "<0xZZ>");
}

TEST(HostileVocabularies, LackScoresAndMerges) {
  SentencePieceVocabulary v;
  MetadataWriter metadata;
  metadata.Text("tokenizer.ggml.model", "llama");
  metadata.Texts("tokenizer.ggml.tokens", v.tokens);
  metadata.Integers("tokenizer.ggml.token_type", v.types);
  EXPECT_REFUSED(metadata, "tokenizer.ggml.scores: absent");
}

TEST(HostileVocabularies, MayHaveScoresThatAreNoNumbers) {
  SentencePieceVocabulary v;
  for (float& score : v.scores) score = std::numeric_limits<float>::quiet_NaN();
  const auto tokenizer = LoadTokenizer(v.Metadata());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ((*tokenizer)->Decode((*tokenizer)->EncodeText("hello the hell").tokens, false), "hello the hell");
}

// A seeded stand-in for the fuzzer: broken files are refused or loaded, and what loads can be used.
TEST(HostileVocabularies, SurviveRandomDamage) {
  std::mt19937 random(20261125);
  const std::string good[] = {ByteLevelVocabulary().Metadata("llama-bpe").File(),
                              SentencePieceVocabulary().Metadata().File()};
  int loaded = 0;
  for (int round = 0; round < 400; ++round) {
    std::string bytes = good[round % 2];
    for (int changes = 1 + static_cast<int>(random() % 4); changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const TemporaryFile temporary(bytes);
    const auto file = GgufFile::Open(temporary.path());
    if (!file) continue;
    const auto tokenizer = Tokenizer::FromGguf(*file);
    if (!tokenizer) continue;
    ++loaded;
    const Encoding encoding = (*tokenizer)->Encode("hello <|im_start|> the \xFF", {});
    for (const TokenId id : encoding.tokens) ASSERT_LT(id, (*tokenizer)->vocabulary_size());
    (*tokenizer)->Decode(encoding.tokens, true);
  }
  EXPECT_GT(loaded, 0);
}

}  // namespace
}  // namespace hone
