// Builds the bytes of a GGUF file field by field, so that a test can get any of them wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/gguf/gguf_value.h"
#include "scratch_folder.h"

namespace hone {

class GgufBytes {
 public:
  template <class T>
  GgufBytes& Number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  GgufBytes& U32(uint64_t value) { return Number(static_cast<uint32_t>(value)); }
  GgufBytes& U64(uint64_t value) { return Number(value); }
  GgufBytes& Raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  GgufBytes& String(std::string_view text) { return U64(text.size()).Raw(text); }

  GgufBytes& Header(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    return Raw("GGUF").U32(version).U64(tensors).U64(keys);
  }
  template <class T>
  GgufBytes& Key(std::string_view key, GgufType type, T value) {
    return String(key).U32(static_cast<uint32_t>(type)).Number(value);
  }
  GgufBytes& TextKey(std::string_view key, std::string_view text) {
    return String(key).U32(static_cast<uint32_t>(GgufType::kString)).String(text);
  }
  // The head of an array; its elements follow.
  GgufBytes& ArrayKey(std::string_view key, GgufType element, uint64_t count) {
    return String(key)
        .U32(static_cast<uint32_t>(GgufType::kArray))
        .U32(static_cast<uint32_t>(element))
        .U64(count);
  }
  // `dimensions` in GGUF's order: columns first. `type` is ggml's number (0: F32).
  GgufBytes& Tensor(std::string_view name, const std::vector<uint64_t>& dimensions, uint32_t type,
                    uint64_t offset) {
    String(name).U32(dimensions.size());
    for (const uint64_t dimension : dimensions) U64(dimension);
    return U32(type).U64(offset);
  }
  GgufBytes& PadTo(uint64_t alignment) {
    while (bytes_.size() % alignment != 0) bytes_ += '\0';
    return *this;
  }
  GgufBytes& Data(uint64_t bytes) {
    bytes_.append(bytes, '\x11');
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace hone
