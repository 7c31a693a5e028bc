#include "core/formats/tokenizer/tokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "core/formats/tokenizer/text_stream.h"
#include "core/formats/tokenizer/vocabulary_files.h"

namespace hone {
namespace {

using Ids = std::vector<TokenId>;

std::shared_ptr<const Tokenizer> Loaded(const MetadataWriter& metadata) {
  auto tokenizer = LoadTokenizer(metadata);
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return tokenizer ? *tokenizer : nullptr;
}

std::string Streamed(const Tokenizer& tokenizer, const Ids& ids, bool with_control) {
  Decoder decoder(tokenizer, with_control);
  std::string text;
  for (const TokenId id : ids) {
    const std::string piece = decoder.Push(id);
    EXPECT_EQ(ValidUtf8Prefix(piece), piece.size());
    text += piece;
  }
  return text + decoder.Finish();
}

TEST(ByteLevelTokenizer, MergesByRank) {
  const ByteLevelVocabulary v;
  const auto tokenizer = Loaded(v.Metadata("gpt-2"));
  EXPECT_EQ(tokenizer->EncodeText("hello").tokens, Ids{v.Id("hello")});
  EXPECT_EQ(tokenizer->EncodeText("hell w").tokens, (Ids{v.Id("hell"), v.Id(Glyph(' ') + "w")}));
  EXPECT_EQ(tokenizer->EncodeText("aaaaa").tokens, (Ids{v.Id("aaaa"), v.Id("a")}));
  EXPECT_EQ(tokenizer->EncodeText("é").tokens, (Ids{v.Id(Glyph(0xC3)), v.Id(Glyph(0xA9))}));
  EXPECT_FALSE(tokenizer->special().add_bos);
}

TEST(ByteLevelTokenizer, TakesAWholeWordWhereMergesAreIgnored) {
  ByteLevelVocabulary v;
  v.Add("xyz", 1);
  EXPECT_EQ(Loaded(v.Metadata("llama-bpe"))->EncodeText("xyz").tokens, Ids{v.Id("xyz")});
  EXPECT_EQ(Loaded(v.Metadata("gpt-2"))->EncodeText("xyz").tokens, (Ids{v.Id("x"), v.Id("y"), v.Id("z")}));
}

TEST(ByteLevelTokenizer, DropsAndCountsBytesThatTheVocabularyLacks) {
  ByteLevelVocabulary v;
  v.tokens[0x04] = "filler";
  const auto tokenizer = Loaded(v.Metadata("gpt-2"));
  const Encoding encoding = tokenizer->EncodeText("a\x04\x04z");
  EXPECT_EQ(encoding.tokens, (Ids{v.Id("a"), v.Id("z")}));
  EXPECT_EQ(encoding.dropped_bytes, 2);
}

TEST(ByteLevelTokenizer, RecognisesOrReportsAnUnnamedPreTokenizer) {
  const ByteLevelVocabulary v;
  const auto unnamed = Loaded(v.Metadata(""));
  ASSERT_EQ(unnamed->warnings().size(), 1u);
  EXPECT_NE(unnamed->warnings()[0].find("no pre-tokenizer named"), std::string::npos);
  const auto unknown = Loaded(v.Metadata("brand-new"));
  ASSERT_EQ(unknown->warnings().size(), 1u);
  EXPECT_NE(unknown->warnings()[0].find("\"brand-new\""), std::string::npos);
  EXPECT_TRUE(Loaded(v.Metadata("gpt-2"))->warnings().empty());
}

TEST(ByteLevelTokenizer, FindsControlTokensOnlyOutsideLiteralBytes) {
  const ByteLevelVocabulary v;
  const auto tokenizer = Loaded(v.Metadata("gpt-2"));
  const std::string text = "<|im_start|>hello<|im_end|>";
  const Encoding all = tokenizer->Encode(text, {});
  EXPECT_EQ(all.tokens, (Ids{v.Id("<|im_start|>"), v.Id("hello"), v.Id("<|im_end|>")}));
  // One literal byte in the middle of a spelling makes text of it.
  for (size_t byte = 17; byte < text.size(); ++byte) {
    const ByteSpan literal{byte, byte + 1};
    const Encoding encoding = tokenizer->Encode(text, {&literal, 1});
    EXPECT_EQ(encoding.tokens.front(), v.Id("<|im_start|>"));
    EXPECT_EQ(std::ranges::count(encoding.tokens, v.Id("<|im_end|>")), 0) << byte;
  }
  // A literal range that ends where the spelling starts, or is empty, does not touch it.
  const ByteSpan before{12, 17};
  EXPECT_EQ(tokenizer->Encode(text, {&before, 1}).tokens, all.tokens);
  EXPECT_EQ(tokenizer->Encode("<|im_start|><|im_end|>", {}).tokens,
            (Ids{v.Id("<|im_start|>"), v.Id("<|im_end|>")}));
}

TEST(ByteLevelTokenizer, TokenizesTextOnBothSidesOfALiteralBorderAsOneRun) {
  const ByteLevelVocabulary v;
  const auto tokenizer = Loaded(v.Metadata("gpt-2"));
  const ByteSpan literal{2, 4};
  EXPECT_EQ(tokenizer->Encode("hello", {&literal, 1}).tokens, Ids{v.Id("hello")});
}

TEST(ByteLevelTokenizer, KeepsTurnMarkersOutOfUserTextWhateverTheFileCallsThem) {
  ByteLevelVocabulary v;
  v.Add("<|START_OF_TURN_TOKEN|>", 4);
  v.Add("<tool>", 4);
  const auto tokenizer = Loaded(v.Metadata("gpt-2"));
  EXPECT_EQ(std::ranges::count(tokenizer->EncodeText("<|START_OF_TURN_TOKEN|>").tokens,
                               v.Id("<|START_OF_TURN_TOKEN|>")),
            0);
  EXPECT_EQ(tokenizer->Encode("<|START_OF_TURN_TOKEN|>", {}).tokens, Ids{v.Id("<|START_OF_TURN_TOKEN|>")});
  EXPECT_EQ(tokenizer->EncodeText("<tool>").tokens, Ids{v.Id("<tool>")});
}

TEST(ByteLevelTokenizer, UnitesTheTokensThatEndAnAnswer) {
  ByteLevelVocabulary v;
  v.Add("<|eom_id|>", 3);
  v.Add("stop", 1);
  MetadataWriter metadata = v.Metadata("gpt-2");
  metadata.Unsigned("tokenizer.ggml.eot_token_id", static_cast<uint32_t>(v.Id("stop")));
  const auto tokenizer = Loaded(metadata);
  Ids expected{v.Id("<|endoftext|>"), v.Id("<|im_end|>"), v.Id("<|eom_id|>"), v.Id("stop")};
  std::ranges::sort(expected);
  EXPECT_EQ(tokenizer->special().ends, expected);
  EXPECT_EQ(tokenizer->special().eot, v.Id("stop"));
  EXPECT_EQ(Loaded(v.Metadata("gpt-2"))->special().eot, v.Id("<|im_end|>"));
}

TEST(ByteLevelTokenizer, HidesControlTokensUnlessAsked) {
  const ByteLevelVocabulary v;
  const auto tokenizer = Loaded(v.Metadata("gpt-2"));
  const Ids ids{v.Id("<|im_start|>"), v.Id("hello"), v.Id("<|im_end|>")};
  EXPECT_EQ(tokenizer->Decode(ids, false), "hello");
  EXPECT_EQ(tokenizer->Decode(ids, true), "<|im_start|>hello<|im_end|>");
}

RC_GTEST_PROP(ByteLevelTokenizer, RoundTripsAnyBytes, (const std::string& bytes)) {
  static const auto tokenizer = Loaded(ByteLevelVocabulary().Metadata("llama-bpe"));
  const Encoding encoding = tokenizer->EncodeText(bytes);
  RC_ASSERT(encoding.dropped_bytes == 0);
  RC_ASSERT(tokenizer->DecodeBytes(encoding.tokens, true) == bytes);
}

RC_GTEST_PROP(SentencePieceTokenizer, RoundTripsAnyBytes, (const std::string& bytes)) {
  static const auto tokenizer = Loaded(SentencePieceVocabulary().Metadata());
  const Encoding encoding = tokenizer->EncodeText(bytes);
  RC_ASSERT(tokenizer->DecodeBytes(encoding.tokens, true) == bytes);
}

RC_GTEST_PROP(Decoder, GivesTheSamePieceByPieceAsAtOnce, (bool with_control, bool sentence_piece)) {
  static const auto bytes = Loaded(ByteLevelVocabulary().Metadata("gpt-2"));
  static const auto pieces = Loaded(SentencePieceVocabulary().Metadata());
  const Tokenizer& tokenizer = sentence_piece ? *pieces : *bytes;
  const auto ids = *rc::gen::container<Ids>(
      rc::gen::inRange<TokenId>(0, static_cast<TokenId>(tokenizer.vocabulary_size())));
  RC_ASSERT(Streamed(tokenizer, ids, with_control) == tokenizer.Decode(ids, with_control));
}

TEST(Decoder, HoldsAnUnfinishedCharacterBackAndEndsItAsOneReplacement) {
  const ByteLevelVocabulary v;
  const auto tokenizer = Loaded(v.Metadata("gpt-2"));
  Decoder decoder(*tokenizer);
  EXPECT_EQ(decoder.Push(v.Id(Glyph(0xF0))), "");
  EXPECT_EQ(decoder.Push(v.Id(Glyph(0x9F))), "");
  EXPECT_EQ(decoder.Push(v.Id(Glyph(0xA6))), "");
  EXPECT_EQ(decoder.Push(v.Id(Glyph(0x99))), "🦙");
  EXPECT_EQ(decoder.Push(v.Id(Glyph(0xE2))), "");
  EXPECT_EQ(decoder.Push(v.Id(Glyph(0x82))), "");
  EXPECT_EQ(decoder.Finish(), "\uFFFD");
  EXPECT_EQ(decoder.Finish(), "");
  EXPECT_EQ(decoder.Push(v.Id(Glyph(0xFF))), "\uFFFD");
}

TEST(SentencePieceTokenizer, MergesByScoreAndFallsBackToBytes) {
  const SentencePieceVocabulary v;
  const auto tokenizer = Loaded(v.Metadata());
  EXPECT_EQ(tokenizer->EncodeText("hello").tokens, Ids{v.Id("▁hello")});
  EXPECT_EQ(tokenizer->EncodeText("the").tokens, Ids{v.Id("▁the")});
  EXPECT_EQ(tokenizer->EncodeText("é").tokens, (Ids{v.Id("▁"), v.Id("é")}));
  EXPECT_EQ(tokenizer->EncodeText("q").tokens, (Ids{v.Id("▁"), v.Id("<0x71>")}));
  EXPECT_EQ(tokenizer->EncodeText("\xFF").tokens, (Ids{v.Id("▁"), v.Id("<0xFF>")}));
  EXPECT_TRUE(tokenizer->EncodeText("").tokens.empty());
  EXPECT_TRUE(tokenizer->special().add_bos);
  EXPECT_EQ(tokenizer->special().bos, 1);
}

TEST(SentencePieceTokenizer, PutsASpaceBeforeTheTextAndBehindControlTokens) {
  const SentencePieceVocabulary v;
  const auto tokenizer = Loaded(v.Metadata());
  EXPECT_EQ(tokenizer->Encode("<|user|>the<|end|>", {}).tokens,
            (Ids{v.Id("<|user|>"), v.Id("▁the"), v.Id("<|end|>")}));
  EXPECT_EQ(tokenizer->Encode("<|user|> x", {}).tokens, (Ids{v.Id("<|user|>"), v.Id("▁▁"), v.Id("x")}));
  MetadataWriter metadata = v.Metadata();
  metadata.Boolean("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(Loaded(metadata)->Encode("<|user|>the", {}).tokens,
            (Ids{v.Id("<|user|>"), v.Id("t"), v.Id("he")}));
}

TEST(SentencePieceTokenizer, LosesTheAddedSpaceAgain) {
  const SentencePieceVocabulary v;
  const auto tokenizer = Loaded(v.Metadata());
  EXPECT_EQ(tokenizer->Decode(Ids{1, v.Id("▁hello"), v.Id("▁the")}, false), "hello the");
  Decoder middle(*tokenizer, false, true);
  EXPECT_EQ(middle.Push(v.Id("▁the")), " the");
}

TEST(SentencePieceTokenizer, NeverMergesIntoAControlToken) {
  SentencePieceVocabulary v;
  v.Add("<s", 1, -1);
  v.Add(">", 1, -1);
  v.Add("<", 1, -1);
  v.Add("s", 1, -1);
  EXPECT_EQ(std::ranges::count(Loaded(v.Metadata())->EncodeText("<s>").tokens, 1), 0);
}

TEST(SentencePieceTokenizer, ReadsPhi3MarkersWithTheWhiteSpaceBehindThem) {
  const SentencePieceVocabulary v;
  MetadataWriter metadata = v.Metadata();
  metadata.Text("general.name", "Phi-3 mini");
  EXPECT_EQ(Loaded(metadata)->Encode("<|user|> \nthe", {}).tokens, (Ids{v.Id("<|user|>"), v.Id("▁the")}));
}

}  // namespace
}  // namespace hone
