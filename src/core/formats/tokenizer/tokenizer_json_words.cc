// The vocabulary, merges and added tokens of tokenizer.json.
#include <limits>
#include <nlohmann/json.hpp>

#include "core/formats/tokenizer/byte_glyphs.h"
#include "core/formats/tokenizer/special_spellings.h"
#include "core/formats/tokenizer/tokenizer_json.h"
#include "core/formats/tokenizer/word_spellings.h"

namespace hone {
namespace {

constexpr int64_t kMostGaps = 65536;  // ids without a word that a file may leave

struct Entry {
  const std::string* text = nullptr;
  const Json* added = nullptr;
};

struct Words {
  const std::string& path;
  const Json& file;
  Spelling spelling;
  BpeModel& model;
  std::vector<Entry> entries = {};

  Result<void> CheckModel() const;
  Result<void> Collect();
  Result<Entry*> At(const Json& id, std::string_view field, int64_t most);
  Result<void> Store();
  Result<void> StoreAdded(TokenId id, const Entry& entry);
  Result<void> Merges();
  bool AppendWord(std::string_view text, std::vector<char>& out) const {
    if (spelling == Spelling::kGlyphs) return AppendGlyphBytes(text, out);
    AppendWithSpaces(text, out);
    return true;
  }
};

Result<void> Words::CheckModel() const {
  const Json& bpe = Member(file, "model");
  if (!bpe.is_object()) return BadInput(path, "model", "absent, expected an object");
  const std::string type = TextOr(Member(bpe, "type"), "BPE");
  if (type != "BPE") return BadInput(path, "model.type", "\"{}\", expected BPE", type);
  for (const std::string_view field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (const std::string text = TextOr(Member(bpe, field), ""); !text.empty()) {
      return BadInput(path, fmt::format("model.{}", field), "\"{}\", expected none", text);
    }
  }
  if (const Json& dropout = Member(bpe, "dropout"); dropout.is_number() && dropout.get<double>() > 0) {
    return BadInput(path, "model.dropout", "{}, expected none", dropout.dump());
  }
  return {};
}

Result<Entry*> Words::At(const Json& id, std::string_view field, int64_t most) {
  if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= most) {
    return BadInput(path, field, "id {}, expected an integer from 0 to {}", id.dump(), most - 1);
  }
  const size_t at = id.get<size_t>();
  if (at >= entries.size()) entries.resize(at + 1);
  return &entries[at];
}

Result<void> Words::Collect() {
  const Json& vocabulary = Member(Member(file, "model"), "vocab");
  if (!vocabulary.is_object() || vocabulary.empty())
    return BadInput(path, "model.vocab", "absent or empty, expected an object");
  const Json& added = Member(file, "added_tokens");
  const int64_t most = static_cast<int64_t>(vocabulary.size() + added.size()) + kMostGaps;
  for (const auto& [text, id] : vocabulary.get_ref<const Json::object_t&>()) {
    HONE_TRY(Entry * entry, At(id, "model.vocab", most));
    if (entry->text != nullptr) {
      return BadInput(path, "model.vocab", "\"{}\" and \"{}\" both have id {}, expected different ids",
                      *entry->text, text, id.dump());
    }
    entry->text = &text;
  }
  if (!added.is_array()) return {};
  for (const Json& token : added) {
    const Json& content = Member(token, "content");
    if (!content.is_string())
      return BadInput(path, "added_tokens.content", "{}, expected a string", content.dump());
    HONE_TRY(Entry * entry, At(Member(token, "id"), "added_tokens.id", most));
    entry->text = content.get_ptr<const std::string*>();
    entry->added = &token;
  }
  return {};
}

Result<void> Words::StoreAdded(TokenId id, const Entry& entry) {
  const Json& added = *entry.added;
  const std::string& text = *entry.text;
  const bool control = FlagOr(Member(added, "special"), false) || SpellsEndUnmistakably(text);
  model.hidden[id] = control;
  // In a vocabulary with marked spaces, added words of marks ("▁▁") are reached by merging.
  const bool marked = spelling == Spelling::kSpaceMarks && text.find(kSpaceMarkText) != std::string::npos;
  if (control) {
    model.words.Add(text, TokenKind::kControl, false);
  } else if (spelling == Spelling::kSpaceMarks) {
    AppendWithSpaces(text, model.words.pool());
    model.words.AddAppended(TokenKind::kUserDefined, marked || text.find(' ') == std::string::npos);
  } else {
    bool plain = true;
    for (const char c : text) plain = plain && c > ' ' && c < 0x7F;
    model.words.Add(text, TokenKind::kUserDefined, plain);
  }
  if (marked && !control) return {};
  SpecialToken token{.id = id, .needs_template = control || SpellsMarker(text)};
  token.strip_left = FlagOr(Member(added, "lstrip"), false);
  token.strip_right = FlagOr(Member(added, "rstrip"), false);
  token.single_word = FlagOr(Member(added, "single_word"), false);
  const bool normalized =
      FlagOr(Member(added, "normalized"), !control) && !token.needs_template && !model.normalizer.empty();
  (normalized ? model.normalized_special_tokens : model.special_tokens).push_back(token);
  return {};
}

Result<void> Words::Store() {
  const bool byte_fallback = FlagOr(Member(Member(file, "model"), "byte_fallback"), false);
  size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.text != nullptr ? entry.text->size() : 0;
  model.words.Reserve(entries.size(), bytes);
  model.hidden.assign(entries.size(), 0);
  model.byte_tokens.fill(kNoToken);
  for (TokenId id = 0; id < static_cast<TokenId>(entries.size()); ++id) {
    const Entry& entry = entries[id];
    if (entry.added != nullptr) {
      HONE_CHECK_OK(StoreAdded(id, entry));
      continue;
    }
    const std::string_view text = entry.text != nullptr ? std::string_view(*entry.text) : std::string_view{};
    const int byte = byte_fallback ? ByteOfSpelling(text) : -1;
    if (byte >= 0) {
      const char value = static_cast<char>(byte);
      model.byte_tokens[byte] = model.words.Add({&value, 1}, TokenKind::kByte, false);
    } else if (text.empty() || !AppendWord(text, model.words.pool())) {
      model.words.Add(text, TokenKind::kNormal, false);
    } else {
      model.words.AddAppended(TokenKind::kNormal, true);
    }
  }
  model.words.BuildIndex();
  if (spelling == Spelling::kSpaceMarks) return {};
  for (int byte = 0; byte < 256; ++byte) {
    const char value = static_cast<char>(byte);
    model.byte_tokens[byte] = model.words.Find({&value, 1});
  }
  return {};
}

Result<void> Words::Merges() {
  const Json& merges = Member(Member(file, "model"), "merges");
  if (!merges.is_array()) return BadInput(path, "model.merges", "absent, expected a list");
  model.merges.Reserve(merges.size());
  std::vector<char> joined;
  for (size_t i = 0; i < merges.size(); ++i) {
    const Json& merge = merges[i];
    std::string_view left, right;
    if (merge.is_string()) {
      const std::string& text = merge.get_ref<const std::string&>();
      const size_t space = text.find(' ', 1);
      if (space != std::string::npos) {
        left = std::string_view(text).substr(0, space);
        right = std::string_view(text).substr(space + 1);
      }
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      left = merge[0].get_ref<const std::string&>();
      right = merge[1].get_ref<const std::string&>();
    }
    joined.clear();
    bool spelled = !left.empty() && !right.empty() && AppendWord(left, joined);
    const size_t middle = joined.size();
    spelled = spelled && AppendWord(right, joined);
    const std::string_view whole(joined.data(), joined.size());
    const TokenId left_id = spelled ? model.words.Find(whole.substr(0, middle)) : kNoToken;
    const TokenId right_id = spelled ? model.words.Find(whole.substr(middle)) : kNoToken;
    const TokenId merged = spelled ? model.words.Find(whole) : kNoToken;
    if (left_id == kNoToken || right_id == kNoToken || merged == kNoToken) {
      return BadInput(path, "model.merges",
                      "merge {} is {}, expected two tokens of the vocabulary that make a third", i,
                      merge.dump());
    }
    model.merges.Add({left_id, right_id, static_cast<uint32_t>(i), merged});
  }
  return {};
}

}  // namespace

Result<void> ReadWordsAndMerges(const std::string& path, const Json& file, Spelling spelling,
                                BpeModel& model) {
  Words words{path, file, spelling, model};
  HONE_CHECK_OK(words.CheckModel());
  model.ignore_merges = FlagOr(Member(Member(file, "model"), "ignore_merges"), false);
  HONE_CHECK_OK(words.Collect());
  HONE_CHECK_OK(words.Store());
  return words.Merges();
}

}  // namespace hone
