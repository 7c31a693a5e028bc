// A tokenizer from a Hugging Face folder: tokenizer.json with tokenizer_config.json, generation_config.json
// (or config.json), chat_template.jinja beside it.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/mapped_file.h"
#include "core/formats/tokenizer/special_spellings.h"
#include "core/formats/tokenizer/tokenizer_json.h"

namespace hone {

const Json& Member(const Json& object, std::string_view key) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

std::string TextOr(const Json& value, std::string_view otherwise) {
  return value.is_string() ? value.get<std::string>() : std::string(otherwise);
}

bool FlagOr(const Json& value, bool otherwise) { return value.is_boolean() ? value.get<bool>() : otherwise; }

namespace {

namespace fs = std::filesystem;

// The file's JSON, or null where it is absent.
Result<Json> ReadJson(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return Json();
  HONE_TRY(const MappedFile file, MappedFile::Open(path.string()));
  const auto* text = reinterpret_cast<const char*>(file.bytes().data());
  Json json = Json::parse(text, text + file.bytes().size(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object())
    return BadInput(path.string(), "JSON", "malformed, expected an object");
  return json;
}

struct Folder {
  std::string path;
  BpeModel model = {};

  std::string In(const char* name) const { return (fs::path(path) / name).string(); }
  TokenId IdOf(std::string_view text) const;
  Result<TokenId> NamedToken(const Json& config, const char* field) const;
  Result<void> ReadPostProcessor(const Json& processor, int depth);
  Result<void> ReadConfig(const Json& config);
  Result<std::vector<TokenId>> ReadEnds(const std::string& file, const Json& config) const;
  Result<void> ReadChatTemplates(const Json& config);
};

// Special tokens are spelled as they are; any other word by its bytes.
TokenId Folder::IdOf(std::string_view text) const {
  for (TokenId id = 0; id < model.words.size(); ++id) {
    const TokenKind kind = model.words.kind(id);
    if ((kind == TokenKind::kControl || kind == TokenKind::kUserDefined) && model.words.Bytes(id) == text)
      return id;
  }
  return model.words.Find(text);
}

Result<TokenId> Folder::NamedToken(const Json& config, const char* field) const {
  const Json& value = Member(config, field);
  if (value.is_null()) return kNoToken;
  const Json& content = value.is_object() ? Member(value, "content") : value;
  if (!content.is_string()) {
    return BadInput(In("tokenizer_config.json"), field, "{}, expected a string or an object with content",
                    value.dump());
  }
  const TokenId id = IdOf(content.get_ref<const std::string&>());
  if (id == kNoToken)
    return BadInput(In("tokenizer_config.json"), field, "{}, expected a token of the vocabulary",
                    content.dump());
  return id;
}

// What a post-processor puts before and after a single text.
Result<void> Folder::ReadPostProcessor(const Json& processor, int depth) {
  const std::string type = TextOr(Member(processor, "type"), "");
  if (processor.is_null() || type == "ByteLevel" || depth > 16) return {};
  if (type == "Sequence") {
    const Json& list = Member(processor, "processors");
    for (size_t i = 0; list.is_array() && i < list.size(); ++i)
      HONE_CHECK_OK(ReadPostProcessor(list[i], depth + 1));
    return {};
  }
  if (type == "TemplateProcessing") {
    bool before = true;
    const Json& pieces = Member(processor, "single");
    for (size_t i = 0; pieces.is_array() && i < pieces.size(); ++i) {
      if (!Member(pieces[i], "Sequence").is_null()) before = false;
      const Json& special = Member(pieces[i], "SpecialToken");
      if (special.is_null()) continue;
      const std::string text = TextOr(Member(special, "id"), "");
      const TokenId id = IdOf(text);
      if (id == kNoToken)
        return BadInput(In("tokenizer.json"), "post_processor", "\"{}\", expected a token of the vocabulary",
                        text);
      (before ? model.special.bos : model.special.eos) = id;
      (before ? model.special.add_bos : model.special.add_eos) = true;
    }
    return {};
  }
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    const Json& first = Member(processor, "cls");
    const Json& last = Member(processor, "sep");
    model.special.bos = IdOf(first.is_array() && !first.empty() ? TextOr(first[0], "") : "");
    model.special.eos = IdOf(last.is_array() && !last.empty() ? TextOr(last[0], "") : "");
    model.special.add_bos = model.special.bos != kNoToken;
    model.special.add_eos = model.special.eos != kNoToken;
    return {};
  }
  return BadInput(
      In("tokenizer.json"), "post_processor",
      "\"{}\", expected ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing or Sequence", type);
}

Result<void> Folder::ReadConfig(const Json& config) {
  SpecialTokens& special = model.special;
  const auto take = [&](const char* field, TokenId& id) -> Result<void> {
    HONE_TRY(const TokenId named, NamedToken(config, field));
    if (named != kNoToken) id = named;
    return {};
  };
  const bool template_adds_bos = special.add_bos;
  const TokenId template_bos = special.bos;
  HONE_CHECK_OK(take("bos_token", special.bos));
  HONE_CHECK_OK(take("eos_token", special.eos));
  HONE_CHECK_OK(take("unk_token", special.unknown));
  HONE_CHECK_OK(take("pad_token", special.padding));
  if (template_adds_bos) special.bos = template_bos;
  special.add_bos = FlagOr(Member(config, "add_bos_token"), special.add_bos) && special.bos != kNoToken;
  special.add_eos = FlagOr(Member(config, "add_eos_token"), special.add_eos) && special.eos != kNoToken;
  return {};
}

Result<std::vector<TokenId>> Folder::ReadEnds(const std::string& file, const Json& config) const {
  std::vector<TokenId> ends;
  const Json& value = Member(config, "eos_token_id");
  if (value.is_null()) return ends;
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= model.words.size()) {
      return BadInput(file, "eos_token_id", "{}, expected ids below {}", id.dump(), model.words.size());
    }
    ends.push_back(id.get<TokenId>());
  }
  return ends;
}

Result<void> Folder::ReadChatTemplates(const Json& config) {
  const Json& value = Member(config, "chat_template");
  if (value.is_string()) {
    model.chat_templates.emplace_back("default", value.get<std::string>());
  } else if (value.is_array()) {
    for (const Json& entry : value) {
      const Json& text = Member(entry, "template");
      if (!text.is_string()) {
        return BadInput(In("tokenizer_config.json"), "chat_template",
                        "an entry without a template, expected name and template");
      }
      model.chat_templates.emplace_back(TextOr(Member(entry, "name"), "default"), text.get<std::string>());
    }
  } else if (!value.is_null()) {
    return BadInput(In("tokenizer_config.json"), "chat_template", "{}, expected a string or a list",
                    value.type_name());
  }
  std::error_code error;
  const std::string own_file = In("chat_template.jinja");
  if (!fs::exists(own_file, error)) return {};
  HONE_TRY(const MappedFile file, MappedFile::Open(own_file));
  std::erase_if(model.chat_templates, [](const auto& named) { return named.first == "default"; });
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  model.chat_templates.emplace_back("default", text);
  return {};
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::FromFolder(const std::string& path) {
  Folder folder{path};
  const std::string main_file = folder.In("tokenizer.json");
  folder.model.source = main_file;
  HONE_TRY(const Json file, ReadJson(main_file));
  if (file.is_null()) return BadInput(path, "tokenizer.json", "absent, expected the vocabulary of the model");
  HONE_TRY(const Spelling spelling, ReadPipeline(main_file, file, folder.model));
  HONE_CHECK_OK(ReadWordsAndMerges(main_file, file, spelling, folder.model));
  HONE_CHECK_OK(folder.ReadPostProcessor(Member(file, "post_processor"), 0));
  HONE_TRY(const Json config, ReadJson(folder.In("tokenizer_config.json")));
  HONE_CHECK_OK(folder.ReadConfig(config));
  HONE_CHECK_OK(folder.ReadChatTemplates(config));
  HONE_TRY(const Json generation, ReadJson(folder.In("generation_config.json")));
  HONE_TRY(std::vector<TokenId> ends, folder.ReadEnds(folder.In("generation_config.json"), generation));
  if (ends.empty()) {
    HONE_TRY(const Json model_config, ReadJson(folder.In("config.json")));
    HONE_TRY(ends, folder.ReadEnds(folder.In("config.json"), model_config));
  }
  CollectEnds(folder.model.words, ends, folder.model.special);
  return MakeBpeTokenizer(std::move(folder.model));
}

}  // namespace hone
