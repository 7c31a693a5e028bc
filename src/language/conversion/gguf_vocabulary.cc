#include "language/conversion/gguf_vocabulary.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/output_file.h"
#include "core/formats/gguf/gguf_file.h"
#include "core/formats/tokenizer/pretokenizers.h"
#include "core/formats/tokenizer/tokenizer.h"
#include "language/conversion/tokenizer_folder.h"

namespace hone {
namespace {

using Json = nlohmann::json;

struct Word {
  std::string text;
  int32_t type = 5;  // unused, until a word has the id
};

enum TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct Folder {
  std::string file;  // tokenizer.json, for errors
  Json json;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<Word> words;
  bool byte_level = false;
};

Result<Json> ReadJson(const std::string& path) {
  HONE_TRY(const MappedFile file, MappedFile::Open(path));
  const auto* text = reinterpret_cast<const char*>(file.bytes().data());
  Json json = Json::parse(text, text + file.bytes().size(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return BadInput(path, "JSON", "malformed, expected an object");
  return json;
}

bool Mentions(const Json& part, std::string_view type) {
  if (part.is_object()) {
    const auto found = part.find("type");
    if (found != part.end() && found->is_string() && found->get_ref<const std::string&>() == type)
      return true;
  }
  if (!part.is_structured()) return false;
  return std::ranges::any_of(part, [&](const Json& inner) { return Mentions(inner, type); });
}

bool IsByteSpelling(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with(">");
}

// The words in the order of their ids. The tokenizer has been read: ids and texts are what they must be.
void CollectWords(int64_t rows, Folder& folder) {
  folder.words.resize(static_cast<size_t>(rows));
  const Json& model = folder.json["model"];
  const bool byte_fallback = model.value("byte_fallback", false);
  for (const auto& [text, id] : model["vocab"].items()) {
    const auto at = id.get<int64_t>();
    if (at < rows)
      folder.words[static_cast<size_t>(at)] = {text, byte_fallback && IsByteSpelling(text) ? kByte : kNormal};
  }
  if (folder.json.contains("added_tokens")) {
    for (const Json& added : folder.json["added_tokens"]) {
      const auto at = added["id"].get<int64_t>();
      const bool special =
          added.contains("special") && added["special"].is_boolean() && added["special"].get<bool>();
      if (at < rows)
        folder.words[static_cast<size_t>(at)] = {added["content"].get<std::string>(),
                                                 special ? kControl : kUserDefined};
    }
  }
  const TokenId unknown = folder.tokenizer->special().unknown;
  if (unknown != kNoToken && unknown < rows && !folder.byte_level)
    folder.words[static_cast<size_t>(unknown)].type = kUnknown;
  for (size_t i = 0; i < folder.words.size(); ++i) {
    if (folder.words[i].type == kUnused) folder.words[i].text = fmt::format("[PAD{}]", i);
  }
}

// "a b" or ["a", "b"], as "a b".
std::vector<std::string> Merges(const Json& json) {
  std::vector<std::string> merges;
  for (const Json& merge : json["model"]["merges"]) {
    if (merge.is_string()) {
      merges.push_back(merge.get<std::string>());
    } else {
      merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    }
  }
  return merges;
}

// A token's score is the rank of the first merge that makes it, the first one highest.
std::vector<float> Scores(const Folder& folder, const std::vector<std::string>& merges) {
  std::map<std::string, size_t, std::less<>> rank;
  for (size_t i = 0; i < merges.size(); ++i) {
    std::string joined = merges[i];
    joined.erase(joined.find(' ', 1), 1);
    rank.emplace(std::move(joined), i);
  }
  std::vector<float> scores(folder.words.size(), 0.0f);
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto found = rank.find(folder.words[i].text);
    // A word that no merge makes is never the better choice.
    if (folder.words[i].type == kNormal)
      scores[i] = -static_cast<float>(found == rank.end() ? merges.size() + 1 : found->second + 1);
  }
  return scores;
}

void SetSpecialTokens(const Tokenizer& tokenizer, GgufHeader& header) {
  const SpecialTokens& special = tokenizer.special();
  const auto set = [&](std::string_view name, TokenId id) {
    if (id != kNoToken)
      header.Set(fmt::format("tokenizer.ggml.{}_token_id", name), static_cast<uint32_t>(id));
  };
  set("bos", special.bos);
  set("eos", special.eos);
  set("unknown", special.unknown);
  set("padding", special.padding);
  TokenId turn_end = special.eot;
  for (const TokenId end : special.ends) {
    if (turn_end == kNoToken && end != special.eos) turn_end = end;
  }
  set("eot", turn_end);
  header.Set("tokenizer.ggml.add_bos_token", special.add_bos);
  header.Set("tokenizer.ggml.add_eos_token", special.add_eos);
  if (!tokenizer.chat_template().empty())
    header.SetText("tokenizer.chat_template", tokenizer.chat_template());
}

// Whether a file with this header gives the folder's ids for the probe text.
Result<bool> SplitsAlike(const Folder& folder, const std::string& scratch, const GgufHeader& header) {
  {
    HONE_TRY(GgufWriter writer, GgufWriter::Create(scratch, header));
    HONE_CHECK_OK(writer.Finish());
  }
  const auto compare = [&]() -> Result<bool> {
    HONE_TRY(const GgufFile file, GgufFile::Open(scratch));
    HONE_TRY(const auto read, Tokenizer::FromGguf(file));
    const std::string bytes("\xFF\xC3(\x00 \x80 end", 11);
    for (const std::string_view text :
         {TokenizerProbe(), std::string_view(bytes), std::string_view(" leading"), std::string_view("a")}) {
      if (read->EncodeText(text).tokens != folder.tokenizer->EncodeText(text).tokens) return false;
    }
    return true;
  };
  const Result<bool> same = compare();
  std::filesystem::remove(scratch);
  return same;
}

Result<void> SetByteLevel(const Folder& folder, const std::string& scratch, GgufHeader& header) {
  header.SetText("tokenizer.ggml.model", "gpt2");
  header.SetTexts("tokenizer.ggml.merges", Merges(folder.json));
  std::map<std::string_view, TokenId> ids;
  for (size_t i = 0; i < folder.words.size(); ++i) ids.emplace(folder.words[i].text, static_cast<TokenId>(i));
  const auto find = [&](std::string_view text) {
    const auto found = ids.find(text);
    return found == ids.end() ? kNoToken : found->second;
  };
  std::vector<std::string_view> names = {
      RecognisePreTokenizer(find, static_cast<int64_t>(folder.words.size())),
      "gpt-2",
      "smollm",
      "llama-bpe",
      "qwen2",
      "gpt-4o",
      "tekken",
      "default"};
  for (const PreTokenizer& pre : AllPreTokenizers()) names.push_back(pre.name);
  std::set<std::pair<std::string_view, bool>> tried;  // pattern, ignore_merges
  for (const std::string_view name : names) {
    const PreTokenizer* pre = name.empty() ? nullptr : FindPreTokenizer(name);
    if (pre == nullptr || pre->space_marks || !tried.emplace(pre->pattern, pre->ignore_merges).second)
      continue;
    header.SetText("tokenizer.ggml.pre", name);
    HONE_TRY(const bool same, SplitsAlike(folder, scratch, header));
    if (same) return {};
  }
  return BadInput(folder.file, "pre_tokenizer", "splits like none that GGUF files have a name for");
}

Result<void> SetSpaceMarked(const Folder& folder, const std::string& scratch, GgufHeader& header) {
  header.SetText("tokenizer.ggml.model", "llama");
  header.SetText("tokenizer.ggml.pre", "default");
  header.SetArray<float>("tokenizer.ggml.scores", Scores(folder, Merges(folder.json)));
  header.Set("tokenizer.ggml.add_space_prefix", folder.tokenizer->adds_space_prefix());
  HONE_TRY(const bool same, SplitsAlike(folder, scratch, header));
  if (!same)
    return BadInput(folder.file, "tokenizer", "gives other ids as a GGUF vocabulary, expected the same");
  return {};
}

}  // namespace

Result<void> SetVocabulary(const std::string& path, int64_t rows, const std::string& scratch,
                           GgufHeader& header) {
  Folder folder;
  folder.file = path + "/tokenizer.json";
  HONE_TRY(folder.tokenizer, Tokenizer::FromFolder(path));
  HONE_TRY(folder.json, ReadJson(folder.file));
  if (folder.tokenizer->vocabulary_size() > rows) {
    return BadInput(folder.file, "model.vocab", "{} tokens, but the embedding has {} rows",
                    folder.tokenizer->vocabulary_size(), rows);
  }
  folder.byte_level = Mentions(folder.json.value("pre_tokenizer", Json()), "ByteLevel");
  CollectWords(rows, folder);
  std::vector<std::string> texts;
  std::vector<int32_t> types;
  for (const Word& word : folder.words) {
    texts.push_back(word.text);
    types.push_back(word.type);
  }
  header.SetTexts("tokenizer.ggml.tokens", texts);
  header.SetArray<int32_t>("tokenizer.ggml.token_type", types);
  SetSpecialTokens(*folder.tokenizer, header);
  return folder.byte_level ? SetByteLevel(folder, scratch, header) : SetSpaceMarked(folder, scratch, header);
}

}  // namespace hone
