#include "training/text/tokenizer_files.h"

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/base/mapped_file.h"
#include "core/base/output_file.h"
#include "core/formats/gguf/gguf_writer.h"
#include "core/formats/tokenizer/byte_glyphs.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> Spellings(const BpeVocabulary& vocabulary) {
  std::vector<std::string> spellings;
  for (const std::string& token : vocabulary.tokens) spellings.push_back(GlyphSpelling(token));
  return spellings;
}

std::vector<std::string> MergeLines(const BpeVocabulary& vocabulary,
                                    const std::vector<std::string>& spellings) {
  std::vector<std::string> lines;
  for (const auto& [left, right] : vocabulary.merges) {
    lines.push_back(spellings[static_cast<size_t>(left)] + " " + spellings[static_cast<size_t>(right)]);
  }
  return lines;
}

Result<void> WriteJson(const Json& json, const std::string& path) {
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  const std::string text = json.dump(1) + "\n";
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(text))));
  return file.Commit();
}

Json AddedToken(int64_t id, const char* text) {
  return {{"id", id},        {"content", text},     {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

Json ByteLevel(bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

}  // namespace

Result<void> WriteTokenizerFolder(const BpeVocabulary& vocabulary, const std::string& folder) {
  const std::vector<std::string> spellings = Spellings(vocabulary);
  const auto begin_id = static_cast<int64_t>(spellings.size());
  Json words = Json::object();
  for (size_t i = 0; i < spellings.size(); ++i) words[spellings[i]] = i;
  const Json begin_piece = {{"SpecialToken", {{"id", kBeginToken}, {"type_id", 0}}}};
  const auto sequence = [](const char* id, int type) {
    return Json{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  const Json file = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", {AddedToken(begin_id, kBeginToken), AddedToken(begin_id + 1, kEndToken)}},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, ByteLevel(true)}}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {begin_piece, sequence("A", 0)}},
        {"pair", {begin_piece, sequence("A", 0), sequence("B", 1)}},
        {"special_tokens",
         {{kBeginToken, {{"id", kBeginToken}, {"ids", {begin_id}}, {"tokens", {kBeginToken}}}}}}}},
      {"decoder", ByteLevel(true)},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"vocab", words},
        {"merges", MergeLines(vocabulary, spellings)}}}};
  HONE_CHECK_OK(WriteJson(file, folder + "/tokenizer.json"));
  return WriteJson({{"tokenizer_class", "PreTrainedTokenizerFast"},
                    {"bos_token", kBeginToken},
                    {"eos_token", kEndToken},
                    {"add_bos_token", true},
                    {"clean_up_tokenization_spaces", false}},
                   folder + "/tokenizer_config.json");
}

Result<BpeVocabulary> ReadTrainedVocabulary(const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  HONE_TRY(const MappedFile file, MappedFile::Open(path));
  const auto* text = reinterpret_cast<const char*>(file.bytes().data());
  const Json json = Json::parse(text, text + file.bytes().size(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("model") || !json["model"].contains("merges") ||
      !json["model"]["merges"].is_array()) {
    return BadInput(path, "model.merges", "absent, expected a list");
  }
  BpeVocabulary vocabulary;
  std::unordered_map<std::string, int32_t> ids;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
    ids[vocabulary.tokens.back()] = byte;
  }
  for (const Json& entry : json["model"]["merges"]) {
    const std::string line = entry.is_string() ? entry.get<std::string>() : std::string();
    const size_t space = line.find(' ');
    std::vector<char> left;
    std::vector<char> right;
    if (space == std::string::npos || !AppendGlyphBytes(line.substr(0, space), left) ||
        !AppendGlyphBytes(line.substr(space + 1), right)) {
      return BadInput(path, "model.merges", "\"{}\", expected two words of byte glyphs", line);
    }
    const auto first = ids.find(std::string(left.begin(), left.end()));
    const auto second = ids.find(std::string(right.begin(), right.end()));
    if (first == ids.end() || second == ids.end()) {
      return BadInput(path, "model.merges", "\"{}\" joins a word that no earlier merge made", line);
    }
    vocabulary.merges.emplace_back(first->second, second->second);
    vocabulary.tokens.push_back(first->first + second->first);
    ids.emplace(vocabulary.tokens.back(), static_cast<int32_t>(vocabulary.tokens.size() - 1));
  }
  return vocabulary;
}

void SetTokenizerKeys(const BpeVocabulary& vocabulary, GgufHeader& header) {
  constexpr int32_t kNormal = 1;
  constexpr int32_t kControl = 3;
  std::vector<std::string> tokens = Spellings(vocabulary);
  const std::vector<std::string> merges = MergeLines(vocabulary, tokens);
  std::vector<int32_t> kinds(tokens.size(), kNormal);
  const auto begin_id = static_cast<uint32_t>(tokens.size());
  for (const char* control : {kBeginToken, kEndToken}) {
    tokens.emplace_back(control);
    kinds.push_back(kControl);
  }
  header.SetText("tokenizer.ggml.model", "gpt2");
  header.SetText("tokenizer.ggml.pre", kTrainedPreTokenizer);
  header.SetTexts("tokenizer.ggml.tokens", tokens);
  header.SetArray("tokenizer.ggml.token_type", std::span<const int32_t>(kinds));
  header.SetTexts("tokenizer.ggml.merges", merges);
  header.Set("tokenizer.ggml.bos_token_id", begin_id);
  header.Set("tokenizer.ggml.eos_token_id", begin_id + 1);
  header.Set("tokenizer.ggml.padding_token_id", begin_id + 1);
  header.Set("tokenizer.ggml.add_bos_token", true);
  header.Set("tokenizer.ggml.add_eos_token", false);
}

}  // namespace hone
