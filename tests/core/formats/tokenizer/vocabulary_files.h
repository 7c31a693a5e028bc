// Small vocabularies and GGUF files made in memory, for tests.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/tokenizer/byte_glyphs.h"
#include "core/formats/tokenizer/tokenizer.h"
#include "core/formats/tokenizer/utf8.h"

namespace hone {

// A file that vanishes with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes) {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("hone_tokenizer_" + std::to_string(getpid()) + "_" + std::to_string(count++) + ".gguf");
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

// Writes the metadata of a GGUF file (version 3, no tensors).
class MetadataWriter {
 public:
  void Text(std::string_view key, std::string_view value) {
    Begin(key, 8);
    String(value);
  }
  void Unsigned(std::string_view key, uint32_t value) {
    Begin(key, 4);
    Put(value);
  }
  void Boolean(std::string_view key, bool value) {
    Begin(key, 7);
    body_ += static_cast<char>(value);
  }
  void Texts(std::string_view key, const std::vector<std::string>& values) {
    Begin(key, 9);
    Put(uint32_t{8});
    Put(uint64_t{values.size()});
    for (const std::string& value : values) String(value);
  }
  void Integers(std::string_view key, const std::vector<int32_t>& values) {
    Begin(key, 9);
    Put(uint32_t{5});
    Put(uint64_t{values.size()});
    for (const int32_t value : values) Put(value);
  }
  void Reals(std::string_view key, const std::vector<float>& values) {
    Begin(key, 9);
    Put(uint32_t{6});
    Put(uint64_t{values.size()});
    for (const float value : values) Put(value);
  }
  std::string File() const {
    MetadataWriter head;
    head.body_ = "GGUF";
    head.Put(uint32_t{3});
    head.Put(uint64_t{0});
    head.Put(count_);
    return head.body_ + body_;
  }

 private:
  void Begin(std::string_view key, uint32_t type) {
    String(key);
    Put(type);
    ++count_;
  }
  void String(std::string_view value) {
    Put(uint64_t{value.size()});
    body_ += value;
  }
  template <class T>
  void Put(T value) {
    body_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }

  std::string body_;
  uint64_t count_ = 0;
};

inline Result<std::shared_ptr<const Tokenizer>> LoadTokenizer(const MetadataWriter& metadata) {
  const TemporaryFile temporary(metadata.File());
  HONE_TRY(const GgufFile file, GgufFile::Open(temporary.path()));
  return Tokenizer::FromGguf(file);
}

inline std::string Glyph(uint8_t byte) {
  std::string text;
  AppendUtf8(GlyphOfByte(byte), text);
  return text;
}

// A complete byte-level vocabulary: 256 bytes, some merges, <|endoftext|> (256+merges), <|im_start|>,
// <|im_end|>.
struct ByteLevelVocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::vector<std::string> merges;

  ByteLevelVocabulary() {
    for (int byte = 0; byte < 256; ++byte) Add(Glyph(static_cast<uint8_t>(byte)), 1);
    for (const auto& [left, right] : std::vector<std::pair<std::string, std::string>>{{"l", "l"},
                                                                                      {"h", "e"},
                                                                                      {"he", "ll"},
                                                                                      {"hell", "o"},
                                                                                      {Glyph(' '), "w"},
                                                                                      {"a", "a"},
                                                                                      {"aa", "aa"}}) {
      merges.push_back(left + " " + right);
      Add(left + right, 1);
    }
    Add("<|endoftext|>", 3);
    Add("<|im_start|>", 3);
    Add("<|im_end|>", 3);
  }
  TokenId Id(std::string_view text) const {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] == text) return static_cast<TokenId>(i);
    }
    return kNoToken;
  }
  void Add(std::string text, int32_t type) {
    tokens.push_back(std::move(text));
    types.push_back(type);
  }
  MetadataWriter Metadata(std::string_view pre) const {
    MetadataWriter metadata;
    metadata.Text("tokenizer.ggml.model", "gpt2");
    if (!pre.empty()) metadata.Text("tokenizer.ggml.pre", pre);
    metadata.Texts("tokenizer.ggml.tokens", tokens);
    metadata.Integers("tokenizer.ggml.token_type", types);
    metadata.Texts("tokenizer.ggml.merges", merges);
    metadata.Unsigned("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(Id("<|endoftext|>")));
    return metadata;
  }
};

// A SentencePiece vocabulary with all byte tokens: <unk> <s> </s>, <0x00>..<0xFF>, then words with falling
// scores.
struct SentencePieceVocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::vector<float> scores;

  SentencePieceVocabulary() {
    Add("<unk>", 2, 0);
    Add("<s>", 3, 0);
    Add("</s>", 3, 0);
    for (int byte = 0; byte < 256; ++byte) {
      char text[8];
      std::snprintf(text, sizeof(text), "<0x%02X>", byte);
      Add(text, 6, 0);
    }
    float score = 0;
    for (const char* word : {"▁▁", "▁t", "he", "▁the", "ll", "hell", "hello", "▁hello", "▁", "t", "h", "e",
                             "l", "o", "é", "x"}) {
      Add(word, 1, score);
      score -= 1;
    }
    Add("<|user|>", 3, 0);
    Add("<|end|>", 3, 0);
  }
  TokenId Id(std::string_view text) const {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] == text) return static_cast<TokenId>(i);
    }
    return kNoToken;
  }
  void Add(std::string text, int32_t type, float score) {
    tokens.push_back(std::move(text));
    types.push_back(type);
    scores.push_back(score);
  }
  MetadataWriter Metadata() const {
    MetadataWriter metadata;
    metadata.Text("tokenizer.ggml.model", "llama");
    metadata.Texts("tokenizer.ggml.tokens", tokens);
    metadata.Integers("tokenizer.ggml.token_type", types);
    metadata.Reals("tokenizer.ggml.scores", scores);
    return metadata;
  }
};

}  // namespace hone
