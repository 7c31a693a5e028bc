#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/formats/tokenizer/vocabulary_files.h"

namespace hone {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<TokenId>;
namespace fs = std::filesystem;

class FolderTokenizer : public testing::Test {
 protected:
  FolderTokenizer() {
    path_ = fs::temp_directory_path() / ("hone_folder_" + std::to_string(getpid()));
    fs::create_directories(path_);
    Json vocabulary = Json::object();
    for (int byte = 0; byte < 256; ++byte) vocabulary[Glyph(static_cast<uint8_t>(byte))] = byte;
    vocabulary["he"] = 256;
    vocabulary["ll"] = 257;
    vocabulary["Ġhe"] = 258;
    json_ = {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"h e", "l l", "Ġ he"}}}},
             {"added_tokens",
              {{{"id", 259}, {"content", "<|im_end|>"}, {"special", true}, {"normalized", false}},
               {{"id", 260}, {"content", "<s>"}, {"special", true}, {"normalized", false}},
               {{"id", 261}, {"content", "<w>"}, {"special", false}, {"lstrip", true}, {"rstrip", true}}}},
             {"normalizer", nullptr},
             {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
             {"decoder", {{"type", "ByteLevel"}}},
             {"post_processor", nullptr}};
  }
  ~FolderTokenizer() override { fs::remove_all(path_); }

  void Write(const char* name, const std::string& text) {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  Result<std::shared_ptr<const Tokenizer>> Load() {
    Write("tokenizer.json", json_.dump());
    return Tokenizer::FromFolder(path_.string());
  }
  std::shared_ptr<const Tokenizer> Loaded() {
    auto tokenizer = Load();
    EXPECT_TRUE(tokenizer) << tokenizer.error().message;
    return tokenizer ? *tokenizer : nullptr;
  }
  std::string Refusal() {
    auto tokenizer = Load();
    EXPECT_FALSE(tokenizer);
    return tokenizer ? "" : tokenizer.error().message;
  }

  fs::path path_;
  Json json_;
};

TEST_F(FolderTokenizer, ReadsMergesAsTextsAndAsPairs) {
  const Ids expected{256, 257, 'o'};
  EXPECT_EQ(Loaded()->EncodeText("hello").tokens, expected);
  json_["model"]["merges"] = Json::parse(R"([["h", "e"], ["l", "l"], ["Ġ", "he"]])");
  EXPECT_EQ(Loaded()->EncodeText("hello").tokens, expected);
  EXPECT_EQ(Loaded()->EncodeText("o he").tokens, (Ids{'o', 258}));
}

TEST_F(FolderTokenizer, ReadsSpecialTokensAsTextAndAsObject) {
  Write("tokenizer_config.json",
        R"({"bos_token": "<s>", "eos_token": {"content": "<|im_end|>"}, "add_bos_token": true})");
  const auto tokenizer = Loaded();
  EXPECT_EQ(tokenizer->special().bos, 260);
  EXPECT_EQ(tokenizer->special().eos, 259);
  EXPECT_TRUE(tokenizer->special().add_bos);
  EXPECT_TRUE(tokenizer->IsControl(259));
  EXPECT_FALSE(tokenizer->IsControl(261));
}

TEST_F(FolderTokenizer, LearnsFromThePostProcessorThatABosIsAdded) {
  EXPECT_FALSE(Loaded()->special().add_bos);
  json_["post_processor"] = Json::parse(
      R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]})");
  EXPECT_TRUE(Loaded()->special().add_bos);
  EXPECT_EQ(Loaded()->special().bos, 260);
}

TEST_F(FolderTokenizer, ReadsOneEndOrAList) {
  Write("generation_config.json", R"({"eos_token_id": 260})");
  EXPECT_EQ(Loaded()->special().ends, (Ids{259, 260}));
  Write("generation_config.json", R"({"eos_token_id": [257, 260]})");
  EXPECT_EQ(Loaded()->special().ends, (Ids{257, 259, 260}));
  Write("generation_config.json", R"({"eos_token_id": [257, 9999]})");
  EXPECT_NE(Refusal().find("eos_token_id: 9999"), std::string::npos);
}

TEST_F(FolderTokenizer, FindsTheChatTemplateWhereverItIsKept) {
  EXPECT_EQ(Loaded()->chat_template(), "");
  Write("tokenizer_config.json", R"({"chat_template": "one"})");
  EXPECT_EQ(Loaded()->chat_template(), "one");
  Write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "default", "template": "two"}, {"name": "tool_use", "template": "three"}]})");
  EXPECT_EQ(Loaded()->chat_template(), "two");
  EXPECT_EQ(Loaded()->chat_template("tool_use"), "three");
  Write("chat_template.jinja", "four");
  EXPECT_EQ(Loaded()->chat_template(), "four");
}

TEST_F(FolderTokenizer, LetsAddedTokensSwallowWhiteSpace) {
  EXPECT_EQ(Loaded()->EncodeText("he <w>  he").tokens, (Ids{256, 261, 256}));
}

TEST_F(FolderTokenizer, RunsTheNormalizersOfTheFileAndNoOthers) {
  const std::string decomposed = "e\u0301";
  const Ids composed{0xC3, 0xA9};
  EXPECT_EQ(Loaded()->EncodeText(decomposed).tokens, (Ids{'e', 0xCC, 0x81}));
  json_["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(Loaded()->EncodeText(decomposed).tokens, composed);
  json_["normalizer"] = Json::parse(
      R"({"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Replace", "pattern": {"String": "x"}, "content": "y"}]})");
  EXPECT_EQ(Loaded()->EncodeText("ﬁx\xFF").tokens, (Ids{'f', 'i', 'y', 0xFF}));
  json_["normalizer"] = {{"type", "BertNormalizer"}};
  EXPECT_NE(Refusal().find("normalizer: \"BertNormalizer\""), std::string::npos);
}

TEST_F(FolderTokenizer, RefusesWhatItDoesNotRunByName) {
  const Json good = json_;
  const auto refused = [&](const char* pointer, const Json& value) {
    json_ = good;
    json_[Json::json_pointer(pointer)] = value;
    return Refusal();
  };
  EXPECT_NE(refused("/model/type", "WordPiece").find("model.type: \"WordPiece\""), std::string::npos);
  EXPECT_NE(refused("/model/type", "Unigram").find("\"Unigram\""), std::string::npos);
  EXPECT_NE(refused("/pre_tokenizer", {{"type", "BertPreTokenizer"}}).find("BertPreTokenizer"),
            std::string::npos);
  EXPECT_NE(refused("/model/end_of_word_suffix", "</w>").find("end_of_word_suffix"), std::string::npos);
  EXPECT_NE(refused("/model/merges", Json::array({"h zz"})).find("model.merges: merge 0"), std::string::npos);
  EXPECT_NE(refused("/model/merges", 3).find("model.merges"), std::string::npos);
  EXPECT_NE(refused("/model/vocab/he", 2000000000).find("model.vocab: id 2000000000"), std::string::npos);
  EXPECT_NE(refused("/model/vocab/he", -1).find("model.vocab: id -1"), std::string::npos);
  EXPECT_NE(refused("/model/vocab/he", 3).find("both have id 3"), std::string::npos);
  EXPECT_NE(
      refused("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "("}}}, {"behavior", "Isolated"}})
          .find("pre_tokenizer"),
      std::string::npos);
  EXPECT_NE(refused("/added_tokens/0/content", 4).find("added_tokens.content"), std::string::npos);
  Write("tokenizer.json", "{\"model\": ");
  const auto malformed = Tokenizer::FromFolder(path_.string());
  ASSERT_FALSE(malformed);
  EXPECT_NE(malformed.error().message.find("malformed"), std::string::npos);
  fs::remove(path_ / "tokenizer.json");
  EXPECT_FALSE(Tokenizer::FromFolder(path_.string()));
}

TEST_F(FolderTokenizer, BoundsTheWorkOfAFilesOwnExpression) {
  json_["pre_tokenizer"] = Json::parse(
      R"({"type": "Sequence", "pretokenizers": [
          {"type": "Split", "pattern": {"Regex": "(a+)+[^ac]"}, "behavior": "Isolated"},
          {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})");
  const Encoding encoding = Loaded()->EncodeText(std::string(5000, 'a') + "c");
  EXPECT_GT(encoding.unsplit_bytes, 0);
  EXPECT_EQ(encoding.tokens.size(), 5001u);
}

}  // namespace
}  // namespace hone
