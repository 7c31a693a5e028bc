#include "language/conversion/tokenizer_folder.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "core/base/output_file.h"
#include "core/formats/tokenizer/pretokenizers.h"
#include "core/formats/tokenizer/tokenizer.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

enum TokenType : int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6 };

struct Words {
  std::vector<std::string_view> texts;
  std::vector<int64_t> types;
  std::map<std::string_view, TokenId> ids;  // of normal words
};

Result<Words> ReadWords(const GgufFile& file) {
  Words words;
  HONE_TRY(auto texts, file.Texts("tokenizer.ggml.tokens"));
  HONE_TRY(auto types, file.Integers("tokenizer.ggml.token_type"));
  words.texts = std::move(*texts);  // the tokenizer has been read: it is there
  words.types = types ? std::move(*types) : std::vector<int64_t>(words.texts.size(), kNormal);
  for (size_t i = 0; i < words.texts.size(); ++i) {
    if (words.types[i] == kNormal) words.ids.emplace(words.texts[i], static_cast<TokenId>(i));
  }
  return words;
}

Json AddedTokens(const Words& words) {
  Json added = Json::array();
  for (size_t i = 0; i < words.texts.size(); ++i) {
    const bool special = words.types[i] == kControl || words.types[i] == kUnknown;
    if (!special && words.types[i] != kUserDefined) continue;
    added.push_back({{"id", i},
                     {"content", words.texts[i]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", special}});
  }
  return added;
}

Json VocabularyJson(const Words& words) {
  Json vocabulary = Json::object();
  for (size_t i = 0; i < words.texts.size(); ++i) vocabulary[std::string(words.texts[i])] = i;
  return vocabulary;
}

bool IsStart(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

// All pairs of words that make a word, by falling score of what they make, as Hugging Face's own converter
// lists them.
Result<Json> MergesFromScores(const GgufFile& file, const Words& words) {
  HONE_TRY(const auto scores, file.Reals("tokenizer.ggml.scores"));
  if (!scores) return BadInput(file.path(), "tokenizer.ggml.scores", "absent, expected one a token");
  struct Merge {
    float score;
    TokenId left, right;
  };
  std::vector<Merge> merges;
  for (const auto& [text, id] : words.ids) {
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if (!IsStart(text[cut])) continue;
      const auto left = words.ids.find(text.substr(0, cut)), right = words.ids.find(text.substr(cut));
      if (left != words.ids.end() && right != words.ids.end())
        merges.push_back({(*scores)[static_cast<size_t>(id)], left->second, right->second});
    }
  }
  std::ranges::stable_sort(merges, [](const Merge& a, const Merge& b) {
    if (a.score != b.score) return a.score > b.score;
    return std::pair(a.left, a.right) < std::pair(b.left, b.right);
  });
  Json list = Json::array();
  for (const Merge& merge : merges)
    list.push_back(
        {words.texts[static_cast<size_t>(merge.left)], words.texts[static_cast<size_t>(merge.right)]});
  return list;
}

// The merges that the file lists: "a b".
Result<Json> ListedMerges(const GgufFile& file) {
  HONE_TRY(const auto merges, file.Texts("tokenizer.ggml.merges"));
  Json list = Json::array();
  if (!merges) return list;
  for (const std::string_view merge : *merges) {
    const size_t space = merge.find(' ', 1);
    list.push_back({merge.substr(0, space), merge.substr(space + 1)});
  }
  return list;
}

Json ByteLevel(bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Result<Json> PreTokenizerJson(const GgufFile& file) {
  HONE_TRY(const auto name, file.Text("tokenizer.ggml.pre"));
  const PreTokenizer* pre = FindPreTokenizer(name.value_or(""));
  if (pre == nullptr || pre->space_marks)
    return BadInput(file.path(), "tokenizer.ggml.pre", "\"{}\", which tokenizer.json cannot say",
                    name.value_or(""));
  if (pre->pattern == "gpt2") return ByteLevel(true);
  Json steps = Json::array();
  for (const SplitStep& step : StepsOf(*pre)) {
    if (step.kind != SplitStep::Kind::kExpression)
      return BadInput(file.path(), "tokenizer.ggml.pre", "\"{}\", which tokenizer.json cannot say",
                      pre->name);
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", step.expression}}},
                     {"behavior", "Isolated"},
                     {"invert", step.invert}});
  }
  steps.push_back(ByteLevel(false));
  return Json{{"type", "Sequence"}, {"pretokenizers", steps}};
}

constexpr const char* kMark = "\xE2\x96\x81";

// Marked spaces: the text's spaces become U+2581 before merging, and the other way round after.
Json MarkedNormalizer(bool prefix) {
  Json steps = Json::array();
  if (prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kMark}});
  steps.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kMark}});
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

Json MarkedDecoder(bool prefix) {
  Json steps = Json::array({Json{{"type", "Replace"}, {"pattern", {{"String", kMark}}}, {"content", " "}},
                            Json{{"type", "ByteFallback"}}, Json{{"type", "Fuse"}}});
  if (prefix) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

Result<Json> TokenizerJson(const GgufFile& file, const Words& words, const Tokenizer& tokenizer) {
  HONE_TRY(const auto kind, file.Text("tokenizer.ggml.model"));
  const bool marked = *kind == "llama";
  HONE_TRY(const auto pre_name, file.Text("tokenizer.ggml.pre"));
  const PreTokenizer* pre = FindPreTokenizer(pre_name.value_or(""));
  Json merges;
  if (marked && file.Find("tokenizer.ggml.scores") != nullptr) {
    HONE_TRY(merges, MergesFromScores(file, words));
  } else {
    HONE_TRY(merges, ListedMerges(file));
  }
  Json json = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", AddedTokens(words)}};
  const TokenId unknown = tokenizer.special().unknown;
  if (marked) {
    json["normalizer"] = MarkedNormalizer(tokenizer.adds_space_prefix());
    json["pre_tokenizer"] = nullptr;
    json["decoder"] = MarkedDecoder(tokenizer.adds_space_prefix());
  } else {
    HONE_TRY(Json pre_tokenizer, PreTokenizerJson(file));
    json["normalizer"] = nullptr;
    json["pre_tokenizer"] = std::move(pre_tokenizer);
    json["decoder"] = ByteLevel(true);
  }
  json["post_processor"] = nullptr;
  json["model"] = {
      {"type", "BPE"},
      {"dropout", nullptr},
      {"unk_token", marked && unknown != kNoToken ? Json(words.texts[static_cast<size_t>(unknown)]) : Json()},
      {"continuing_subword_prefix", nullptr},
      {"end_of_word_suffix", nullptr},
      {"fuse_unk", marked},
      {"byte_fallback", marked},
      {"ignore_merges", pre != nullptr && !marked && pre->ignore_merges},
      {"vocab", VocabularyJson(words)},
      {"merges", std::move(merges)}};
  return json;
}

Json ConfigJson(const Words& words, const Tokenizer& tokenizer) {
  const SpecialTokens& special = tokenizer.special();
  Json json = {{"add_bos_token", special.add_bos}, {"add_eos_token", special.add_eos}};
  const auto set = [&](const char* field, TokenId id) {
    if (id != kNoToken) json[field] = words.texts[static_cast<size_t>(id)];
  };
  set("bos_token", special.bos);
  set("eos_token", special.eos);
  set("unk_token", special.unknown);
  set("pad_token", special.padding);
  json["clean_up_tokenization_spaces"] = false;
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (!tokenizer.chat_template().empty()) json["chat_template"] = tokenizer.chat_template();
  return json;
}

Json GenerationJson(const Tokenizer& tokenizer) {
  const SpecialTokens& special = tokenizer.special();
  Json json = Json::object();
  if (special.bos != kNoToken) json["bos_token_id"] = special.bos;
  if (!special.ends.empty()) json["eos_token_id"] = special.ends;
  if (special.padding != kNoToken) json["pad_token_id"] = special.padding;
  return json;
}

Result<void> WriteJson(const std::string& path, const Json& json, int indent) {
  const std::string text = json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(text))));
  return file.Commit();
}

}  // namespace

std::string_view TokenizerProbe() {
  return "Hello world, it's we'll I'VE don't  two   spaces\n\nlines\r\n \t tab\n   x = 3.14159; y=12345678 "
         "1,000,000\n"
         "caf\xC3\xA9 na\xC3\xAFve \xE4\xBD\xA0\xE5\xA5\xBD\xE4\xB8\x96\xE7\x95\x8C "
         "\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82 "
         "\xE0\xA4\xA8\xE0\xA4\xAE\xE0\xA4\xB8\xE0\xA5\x8D\xE0\xA4\xA4\xE0\xA5\x87 "
         "\xF0\x9F\x98\x80\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD \xE2\x80\x9Cquotes\xE2\x80\x9D \xE2\x80\x94 ... "
         "?!?! (a)[b]{c} "
         "http://x.y/z?q=1&r=2 #tag @name snake_case camelCase HTTPServer 3rd 2nd v1.2.3 $100 50% a+b-c*d/e "
         "'quoted' \"double\"\n\n\n    indented\n\tif (x) { return; }  end   ";
}

Result<void> WriteTokenizerFiles(const GgufFile& file, const std::string& folder) {
  HONE_TRY(const auto tokenizer, Tokenizer::FromGguf(file));
  HONE_TRY(const Words words, ReadWords(file));
  HONE_TRY(const Json json, TokenizerJson(file, words, *tokenizer));
  HONE_CHECK_OK(WriteJson(folder + "/tokenizer.json", json, 2));
  HONE_CHECK_OK(WriteJson(folder + "/tokenizer_config.json", ConfigJson(words, *tokenizer), 2));
  HONE_CHECK_OK(WriteJson(folder + "/generation_config.json", GenerationJson(*tokenizer), 2));
  HONE_TRY(const auto read, Tokenizer::FromFolder(folder));
  if (read->EncodeText(TokenizerProbe()).tokens != tokenizer->EncodeText(TokenizerProbe()).tokens)
    return BadInput(file.path(), "tokenizer.ggml.pre",
                    "gives other ids as a tokenizer.json, expected the same");
  return {};
}

}  // namespace hone
