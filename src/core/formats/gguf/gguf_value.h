// A metadata value of a GGUF file, left where it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace hone {

enum class GgufType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

std::string_view Name(GgufType type);  // "u32", "string", "array", ...

// One metadata value; arrays and strings stay in the file and are views into it.
struct GgufValue {
  GgufType type = GgufType::kU32;
  GgufType element_type = GgufType::kU32;  // of an array
  uint64_t count = 0;                      // of an array
  std::span<const std::byte>
      payload;  // the value's bytes: a scalar, a string's characters, an array's elements
};

// Walks the strings of an array from front to back without copying them; each lies in the file as a 64-bit
// length and its bytes. The array has been checked when its file was opened.
class GgufStrings {
 public:
  class Iterator {
   public:
    explicit Iterator(const std::byte* position) : position_(position) {}
    std::string_view operator*() const {
      return {reinterpret_cast<const char*>(position_) + sizeof(uint64_t), length()};
    }
    Iterator& operator++() {
      position_ += sizeof(uint64_t) + length();
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    uint64_t length() const {
      uint64_t length;
      std::memcpy(&length, position_, sizeof(length));
      return length;
    }
    const std::byte* position_;
  };

  GgufStrings() = default;
  GgufStrings(std::span<const std::byte> payload, uint64_t count) : payload_(payload), count_(count) {}

  Iterator begin() const { return Iterator(payload_.data()); }
  Iterator end() const { return Iterator(payload_.data() + payload_.size()); }
  uint64_t size() const { return count_; }
  uint64_t bytes() const { return payload_.size(); }  // the lengths included

 private:
  std::span<const std::byte> payload_;
  uint64_t count_ = 0;
};

}  // namespace hone
