#include "core/formats/tokenizer/vocabulary.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace hone {

void Vocabulary::Reserve(size_t tokens, size_t bytes) {
  pool_.reserve(bytes);
  offsets_.reserve(tokens + 1);
  kinds_.reserve(tokens);
}

TokenId Vocabulary::Add(std::string_view bytes, TokenKind kind, bool findable) {
  pool_.insert(pool_.end(), bytes.begin(), bytes.end());
  return AddAppended(kind, findable);
}

TokenId Vocabulary::AddAppended(TokenKind kind, bool findable) {
  const uint32_t end = static_cast<uint32_t>(pool_.size());
  if (findable) longest_ = std::max(longest_, end - offsets_.back());
  offsets_.push_back(end);
  kinds_.push_back(static_cast<uint8_t>(static_cast<uint8_t>(kind) | (findable ? kFindable : 0)));
  return static_cast<TokenId>(kinds_.size() - 1);
}

TokenId Vocabulary::BuildIndex() {
  pool_.shrink_to_fit();
  const size_t slots = std::bit_ceil(std::max<size_t>(16, kinds_.size() * 2));
  slots_.assign(slots, Slot{0, kNoToken});
  mask_ = static_cast<uint32_t>(slots - 1);
  TokenId repeated = kNoToken;
  for (TokenId id = 0; id < size(); ++id) {
    if (!findable(id)) continue;
    const std::string_view bytes = Bytes(id);
    const uint64_t hash = XXH3_64bits(bytes.data(), bytes.size());
    const uint32_t tag = static_cast<uint32_t>(hash >> 32);
    uint32_t at = static_cast<uint32_t>(hash) & mask_;
    while (slots_[at].id != kNoToken && !(slots_[at].tag == tag && Bytes(slots_[at].id) == bytes))
      at = (at + 1) & mask_;
    if (slots_[at].id == kNoToken) {
      slots_[at] = {tag, id};
    } else if (repeated == kNoToken) {
      repeated = id;
    }
  }
  return repeated;
}

TokenId Vocabulary::Find(std::string_view bytes) const {
  if (bytes.size() > longest_) return kNoToken;
  const uint64_t hash = XXH3_64bits(bytes.data(), bytes.size());
  const uint32_t tag = static_cast<uint32_t>(hash >> 32);
  for (uint32_t at = static_cast<uint32_t>(hash) & mask_; slots_[at].id != kNoToken; at = (at + 1) & mask_) {
    if (slots_[at].tag == tag && Bytes(slots_[at].id) == bytes) return slots_[at].id;
  }
  return kNoToken;
}

size_t Vocabulary::Footprint() const {
  return pool_.capacity() + offsets_.capacity() * sizeof(uint32_t) + kinds_.capacity() +
         slots_.capacity() * sizeof(Slot);
}

}  // namespace hone
