// A tokenizer from the metadata of a GGUF file (tokenizer.ggml.*, tokenizer.chat_template*).
#include <algorithm>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/tokenizer/bpe_tokenizer.h"
#include "core/formats/tokenizer/byte_glyphs.h"
#include "core/formats/tokenizer/pretokenizers.h"
#include "core/formats/tokenizer/special_spellings.h"
#include "core/formats/tokenizer/word_spellings.h"

namespace hone {
namespace {

using Texts = std::vector<std::string_view>;

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";

struct Loader {
  const GgufFile& file;
  BpeModel model = {};
  Spelling spelling = Spelling::kGlyphs;
  Texts texts = {};

  Result<void> ReadWords();
  Result<void> ReadMerges(bool required);
  Result<void> ReadScores();
  Result<void> ChoosePreTokenizer(std::string_view kind);
  Result<void> ReadSpecialTokens(const SpecialTokens& defaults);
  Result<TokenId> SpecialId(std::string_view name, TokenId otherwise);
  void ReadChatTemplates();
  void FillByteTokens();
  void ListSpecialTokens();

  // The bytes that a spelling stands for; false where it has none (a glyph that is no byte's).
  bool AppendWord(std::string_view text, std::vector<char>& out) const;
};

bool Loader::AppendWord(std::string_view text, std::vector<char>& out) const {
  if (spelling == Spelling::kGlyphs) return AppendGlyphBytes(text, out);
  AppendWithSpaces(text, out);
  return true;
}

bool IsAscii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<uint8_t>(c) >= 0x80) return false;
  }
  return true;
}

Result<void> Loader::ReadWords() {
  HONE_TRY(auto tokens, file.Texts(kTokens));
  if (!tokens || tokens->empty())
    return BadInput(file.path(), kTokens, "absent or empty, expected the vocabulary");
  texts = std::move(*tokens);
  HONE_TRY(const auto types, file.Integers(kTypes));
  if (types && types->size() != texts.size()) {
    return BadInput(file.path(), kTypes, "{} entries, expected {}, one for each token", types->size(),
                    texts.size());
  }
  size_t bytes = 0;
  for (const std::string_view text : texts) bytes += text.size();
  model.words.Reserve(texts.size(), bytes);
  model.byte_tokens.fill(kNoToken);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string_view text = texts[i];
    const int64_t type = types ? (*types)[i] : 1;
    TokenKind kind = type >= 0 && type <= 6 ? static_cast<TokenKind>(type) : TokenKind::kUndefined;
    if (kind == TokenKind::kUserDefined && SpellsEndUnmistakably(text)) kind = TokenKind::kControl;
    if (kind == TokenKind::kByte) {
      const int byte = ByteOfSpelling(text);
      if (byte < 0)
        return BadInput(file.path(), kTokens, "byte token {} is \"{}\", expected <0x00> to <0xFF>", i, text);
      model.byte_tokens[byte] = model.words.Add({reinterpret_cast<const char*>(&byte), 1}, kind, false);
    } else if (kind == TokenKind::kControl || kind == TokenKind::kUnknown || text.empty()) {
      model.words.Add(text, kind, false);
    } else if (kind == TokenKind::kUserDefined) {
      const bool plain = text.find(' ') == std::string_view::npos;
      model.words.Add(text, kind, plain && (spelling == Spelling::kSpaceMarks || IsAscii(text)));
    } else if (AppendWord(text, model.words.pool())) {
      model.words.AddAppended(kind, true);
    } else {
      model.words.Add(text, kind, false);
    }
  }
  const TokenId repeated = model.words.BuildIndex();
  if (repeated != kNoToken) {
    for (TokenId id = 0; id < repeated; ++id) {
      if (texts[id] == texts[repeated]) {
        return BadInput(file.path(), kTokens, "tokens {} and {} are both \"{}\", expected no repetition", id,
                        repeated, texts[id]);
      }
    }
  }
  return {};
}

void Loader::FillByteTokens() {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    if (model.byte_tokens[byte] == kNoToken) model.byte_tokens[byte] = model.words.Find({&c, 1});
  }
}

Result<void> Loader::ReadMerges(bool required) {
  HONE_TRY(const auto merges, file.Texts(kMerges));
  if (!merges) {
    if (!required) return {};
    return BadInput(file.path(), kMerges, "absent, expected the merges of a byte-level vocabulary");
  }
  model.merges.Reserve(merges->size());
  std::vector<char> joined;
  for (size_t i = 0; i < merges->size(); ++i) {
    const std::string_view text = (*merges)[i];
    const size_t space = text.find(' ', 1);
    if (space == std::string_view::npos) {
      return BadInput(file.path(), kMerges, "merge {} is \"{}\", expected two tokens with a space between", i,
                      text);
    }
    joined.clear();
    bool spelled = AppendWord(text.substr(0, space), joined);
    const size_t middle = joined.size();
    spelled = spelled && AppendWord(text.substr(space + 1), joined);
    const std::string_view whole(joined.data(), joined.size());
    const TokenId left = spelled ? model.words.Find(whole.substr(0, middle)) : kNoToken;
    const TokenId right = spelled ? model.words.Find(whole.substr(middle)) : kNoToken;
    const TokenId merged = spelled ? model.words.Find(whole) : kNoToken;
    if (left == kNoToken || right == kNoToken || merged == kNoToken) {
      return BadInput(file.path(), kMerges, "merge {} is \"{}\", expected tokens of the vocabulary", i, text);
    }
    model.merges.Add({left, right, static_cast<uint32_t>(i), merged});
  }
  return {};
}

Result<void> Loader::ReadScores() {
  HONE_TRY(auto scores, file.Reals(kScores));
  if (!scores) return {};
  if (scores->size() != texts.size()) {
    return BadInput(file.path(), kScores, "{} entries, expected {}, one for each token", scores->size(),
                    texts.size());
  }
  model.scores = std::move(*scores);
  return {};
}

Result<void> Loader::ChoosePreTokenizer(std::string_view kind) {
  HONE_TRY(const auto named, file.Text("tokenizer.ggml.pre"));
  const std::string_view name = kind == "gemma4" ? "gemma4" : named.value_or("");
  const PreTokenizer* pre = FindPreTokenizer(name);
  if (pre == nullptr) {
    // The words are not read yet: look at the spellings themselves.
    HONE_TRY(auto read, file.Texts(kTokens));
    const Texts words = read ? std::move(*read) : Texts{};
    const auto find = [&](std::string_view text) {
      const auto found = std::find(words.begin(), words.end(), text);
      return found == words.end() ? kNoToken : static_cast<TokenId>(found - words.begin());
    };
    const std::string_view recognised = RecognisePreTokenizer(find, static_cast<int64_t>(words.size()));
    const std::string what =
        name.empty() ? "no pre-tokenizer named" : fmt::format("unknown pre-tokenizer \"{}\"", name);
    if (recognised.empty()) {
      pre = FindPreTokenizer("default");
      model.warnings.push_back(fmt::format(
          "{}: tokenizer.ggml.pre: {} and the vocabulary is not a known one; the text is split by a "
          "generic rule and the model will answer worse than it can",
          file.path(), what));
    } else {
      pre = FindPreTokenizer(recognised);
      model.warnings.push_back(
          fmt::format("{}: tokenizer.ggml.pre: {}; the vocabulary is that of \"{}\", split as such",
                      file.path(), what, recognised));
    }
  }
  model.ignore_merges = pre->ignore_merges;
  model.special.add_bos = pre->add_bos;
  model.line_breaks_whole = pre->pattern == "lines" && pre->add_bos;
  if (pre->space_marks) {
    spelling = Spelling::kSpaceMarks;
    model.units = BpeModel::Units::kCharacters;
    model.space_marks = true;
  }
  HONE_TRY(model.splitter, Splitter::Make(StepsOf(*pre)));
  return {};
}

Result<TokenId> Loader::SpecialId(std::string_view name, TokenId otherwise) {
  const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
  HONE_TRY(const auto id, file.Integer(key));
  if (!id) return otherwise < model.words.size() ? otherwise : kNoToken;
  if (*id == -1 || *id == 0xFFFFFFFF) return kNoToken;  // how some writers say "none"
  if (*id < 0 || *id >= model.words.size()) {
    return BadInput(file.path(), key, "{}, expected an id below {}", *id, model.words.size());
  }
  return static_cast<TokenId>(*id);
}

Result<void> Loader::ReadSpecialTokens(const SpecialTokens& defaults) {
  SpecialTokens& special = model.special;
  HONE_TRY(special.bos, SpecialId("bos", defaults.bos));
  HONE_TRY(special.eos, SpecialId("eos", defaults.eos));
  HONE_TRY(special.eot, SpecialId("eot", kNoToken));
  HONE_TRY(special.unknown, SpecialId("unknown", defaults.unknown));
  HONE_TRY(special.padding, SpecialId("padding", kNoToken));
  HONE_TRY(const TokenId eom, SpecialId("eom", kNoToken));
  HONE_TRY(const auto add_bos, file.Boolean("tokenizer.ggml.add_bos_token"));
  HONE_TRY(const auto add_eos, file.Boolean("tokenizer.ggml.add_eos_token"));
  special.add_bos = add_bos.value_or(special.add_bos) && special.bos != kNoToken;
  special.add_eos = add_eos.value_or(false) && special.eos != kNoToken;
  CollectEnds(model.words, eom == kNoToken ? std::vector<TokenId>{} : std::vector<TokenId>{eom}, special);
  return {};
}

void Loader::ListSpecialTokens() {
  // Phi-3's converter loses that its markers swallow the white space behind them; the model's name tells.
  const auto name = file.Text("general.name");
  std::string lower(name && *name ? **name : std::string_view{});
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  const bool phi3 = lower.find("phi-3") != std::string::npos || lower.find("phi3") != std::string::npos;

  model.hidden.assign(static_cast<size_t>(model.words.size()), 0);
  for (TokenId id = 0; id < model.words.size(); ++id) {
    const TokenKind kind = model.words.kind(id);
    const std::string_view text = model.words.Bytes(id);
    const bool control = kind == TokenKind::kControl || kind == TokenKind::kUnknown;
    model.hidden[id] = control;
    if (!control && kind != TokenKind::kUserDefined) continue;
    SpecialToken token{.id = id, .needs_template = control || SpellsMarker(text)};
    token.strip_right = phi3 && text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
    model.special_tokens.push_back(token);
  }
}

void Loader::ReadChatTemplates() {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  for (const auto& [key, value] : file.metadata()) {
    if (!key.starts_with(kKey) || value.type != GgufType::kString) continue;
    const std::string_view rest = std::string_view(key).substr(kKey.size());
    if (!rest.empty() && rest[0] != '.') continue;
    const std::string_view text(reinterpret_cast<const char*>(value.payload.data()), value.payload.size());
    model.chat_templates.emplace_back(rest.empty() ? "default" : rest.substr(1), text);
  }
}

constexpr std::pair<std::string_view, std::string_view> kRefused[] = {
    {"bert", "WordPiece"},         {"t5", "Unigram"},          {"rwkv", "RWKV"},
    {"plamo2", "PLaMo 2"},         {"hybriddna", "HybridDNA"}, {"whitespace", "white-space words"},
    {"no_vocab", "no vocabulary"}, {"none", "no vocabulary"}};

Result<void> LoadSentencePiece(Loader& loader) {
  BpeModel& model = loader.model;
  loader.spelling = Spelling::kSpaceMarks;
  model.units = BpeModel::Units::kCharacters;
  model.space_marks = true;
  model.special.add_bos = true;
  HONE_CHECK_OK(loader.ReadWords());
  HONE_CHECK_OK(loader.ReadScores());
  if (model.scores.empty()) {
    HONE_CHECK_OK(loader.ReadMerges(false));
    if (model.merges.empty()) {
      return BadInput(loader.file.path(), kScores, "absent as are merges, expected one of them");
    }
  } else {
    model.order = BpeModel::Order::kScores;
  }
  HONE_TRY(const auto prefix, loader.file.Boolean("tokenizer.ggml.add_space_prefix"));
  if (prefix.value_or(true)) model.space_prefix = BpeModel::SpacePrefix::kEachFragment;
  SpecialTokens defaults;
  defaults.bos = 1;
  defaults.eos = 2;
  defaults.unknown = 0;
  return loader.ReadSpecialTokens(defaults);
}

Result<void> LoadByteLevel(Loader& loader, std::string_view kind) {
  HONE_CHECK_OK(loader.ChoosePreTokenizer(kind));
  HONE_CHECK_OK(loader.ReadWords());
  HONE_CHECK_OK(loader.ReadMerges(true));
  return loader.ReadSpecialTokens({});
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::FromGguf(const GgufFile& file) {
  constexpr std::string_view kModel = "tokenizer.ggml.model";
  HONE_TRY(const auto kind, file.Text(kModel));
  if (!kind) return BadInput(file.path(), kModel, "absent, expected the kind of tokenizer");
  for (const auto& [name, what] : kRefused) {
    if (*kind == name)
      return BadInput(file.path(), kModel, "\"{}\" ({}), expected gpt2, llama or gemma4", name, what);
  }
  Loader loader{.file = file};
  loader.model.source = file.path();
  if (*kind == "llama") {
    HONE_CHECK_OK(LoadSentencePiece(loader));
  } else if (*kind == "gpt2" || *kind == "gemma4") {
    HONE_CHECK_OK(LoadByteLevel(loader, *kind));
  } else {
    return BadInput(file.path(), kModel, "\"{}\", expected gpt2, llama or gemma4", *kind);
  }
  loader.FillByteTokens();
  loader.ListSpecialTokens();
  loader.ReadChatTemplates();
  return MakeBpeTokenizer(std::move(loader.model));
}

}  // namespace hone
