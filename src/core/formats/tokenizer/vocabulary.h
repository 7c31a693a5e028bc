// The words of a tokenizer in flat arrays: one pool of bytes, offsets, kinds, and an open-addressing hash
// from bytes to id. No object per token: 262144 words load in a few tens of milliseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"

namespace hone {

// Values as GGUF's tokenizer.ggml.token_type has them.
enum class TokenKind : uint8_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

class Vocabulary {
 public:
  void Reserve(size_t tokens, size_t bytes);

  // Adds the next id. `findable`: a text may be spelled with it by merging, so Find() must know it.
  TokenId Add(std::string_view bytes, TokenKind kind, bool findable);
  // As Add, the token's bytes having been appended to pool() already.
  TokenId AddAppended(TokenKind kind, bool findable);
  std::vector<char>& pool() { return pool_; }

  // Builds the hash. kNoToken, or an id whose bytes an earlier findable token has too.
  TokenId BuildIndex();

  int64_t size() const { return static_cast<int64_t>(kinds_.size()); }
  std::string_view Bytes(TokenId id) const {
    return {pool_.data() + offsets_[id], static_cast<size_t>(offsets_[id + 1] - offsets_[id])};
  }
  TokenKind kind(TokenId id) const { return static_cast<TokenKind>(kinds_[id] & 7); }
  void SetKind(TokenId id, TokenKind kind) {
    kinds_[id] = static_cast<uint8_t>((kinds_[id] & ~7) | static_cast<int>(kind));
  }
  bool findable(TokenId id) const { return (kinds_[id] & kFindable) != 0; }
  uint32_t longest() const { return longest_; }  // bytes of the longest findable token

  // The findable token with exactly these bytes, or kNoToken.
  TokenId Find(std::string_view bytes) const;

  // Bytes of memory held.
  size_t Footprint() const;

 private:
  static constexpr uint8_t kFindable = 0x80;
  struct Slot {
    uint32_t tag;
    TokenId id;
  };

  std::vector<char> pool_;
  std::vector<uint32_t> offsets_{0};
  std::vector<uint8_t> kinds_;
  std::vector<Slot> slots_;
  uint32_t mask_ = 0;
  uint32_t longest_ = 0;
};

}  // namespace hone
