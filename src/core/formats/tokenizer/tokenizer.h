// Text to token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

class GgufFile;

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;

// Bytes [begin, end) of a text.
struct ByteSpan {
  size_t begin = 0;
  size_t end = 0;
};

struct SpecialTokens {
  TokenId bos = kNoToken;
  TokenId eos = kNoToken;
  TokenId eot = kNoToken;
  TokenId unknown = kNoToken;
  TokenId padding = kNoToken;
  std::vector<TokenId>
      ends;  // sorted: every token that ends an answer by the file's word (eos, eot, eom, lists of ids)
  bool add_bos = false;  // whether a raw prompt starts with bos
  bool add_eos = false;
};

struct Encoding {
  std::vector<TokenId> tokens;
  int64_t dropped_bytes = 0;  // bytes that an incomplete vocabulary cannot spell: they vanish and are counted
  int64_t unsplit_bytes =
      0;  // bytes that the file's own expression could not cut within its step limit: left in one piece
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  static Result<std::shared_ptr<const Tokenizer>> FromGguf(const GgufFile& file);
  // tokenizer.json with its neighbours tokenizer_config.json, generation_config.json (both optional) in
  // `folder`.
  static Result<std::shared_ptr<const Tokenizer>> FromFolder(const std::string& folder);

  virtual int64_t vocabulary_size() const = 0;
  virtual const SpecialTokens& special() const = 0;

  // Spellings of control tokens are plain text wherever they touch a byte of `literal` (sorted, disjoint);
  // elsewhere they become the token. No BOS is added. Bytes that are not UTF-8 are taken byte by byte.
  virtual Encoding Encode(std::string_view text, std::span<const ByteSpan> literal) const = 0;
  // All of the text is literal.
  Encoding EncodeText(std::string_view text) const {
    const ByteSpan all{0, text.size()};
    return Encode(text, {&all, 1});
  }

  // The bytes that a token stands for, as they appear in the middle of a text (a SentencePiece word keeps its
  // space).
  virtual std::string_view TokenBytes(TokenId id) const = 0;
  virtual bool IsControl(TokenId id) const = 0;
  // Text of many tokens: whole UTF-8 characters, broken or unfinished ones as U+FFFD; control tokens are left
  // out unless asked for. Joining the pieces of a Decoder (text_stream.h) gives the same.
  virtual std::string Decode(std::span<const TokenId> tokens, bool with_control) const = 0;
  // As Decode, but the exact bytes: the inverse of Encode where the vocabulary spells every byte.
  std::string DecodeBytes(std::span<const TokenId> tokens, bool with_control) const;
  // Whether Encode puts a space before the first word, which the first piece of a decoded text loses again.
  virtual bool adds_space_prefix() const { return false; }

  // The template stored beside the vocabulary, or empty. `name` picks one of several ("default", "tool_use").
  virtual std::string_view chat_template(std::string_view name = "default") const = 0;

  // What the file left open and how it was understood, one line each: to be shown to the user.
  virtual std::span<const std::string> warnings() const { return {}; }
};

}  // namespace hone
