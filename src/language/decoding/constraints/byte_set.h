// A set of byte values.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace hone {

class ByteSet {
 public:
  ByteSet() = default;
  static ByteSet Range(uint8_t first, uint8_t last) {
    ByteSet set;
    for (unsigned byte = first; byte <= last; ++byte) set.Add(static_cast<uint8_t>(byte));
    return set;
  }
  static ByteSet One(uint8_t byte) { return Range(byte, byte); }

  void Add(uint8_t byte) { words_[byte >> 6] |= uint64_t{1} << (byte & 63); }
  bool Has(uint8_t byte) const { return (words_[byte >> 6] >> (byte & 63)) & 1; }
  bool Intersects(const ByteSet& other) const {
    uint64_t common = 0;
    for (size_t i = 0; i < words_.size(); ++i) common |= words_[i] & other.words_[i];
    return common != 0;
  }
  ByteSet& operator|=(const ByteSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
    return *this;
  }
  int count() const {
    int sum = 0;
    for (const uint64_t word : words_) sum += std::popcount(word);
    return sum;
  }
  bool empty() const { return count() == 0; }
  // Of a set that is not empty.
  uint8_t first() const {
    size_t i = 0;
    while (words_[i] == 0) ++i;
    return static_cast<uint8_t>(i * 64 + static_cast<size_t>(std::countr_zero(words_[i])));
  }
  auto operator<=>(const ByteSet&) const = default;

 private:
  std::array<uint64_t, 4> words_{};
};

}  // namespace hone
