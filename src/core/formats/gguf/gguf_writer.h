// Writes GGUF files (version 3, little-endian, alignment 32): the header from what was declared, then the
// tensors in one stream. Nothing appears under the file's name before all of it is on the disk.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/base/output_file.h"
#include "core/base/result.h"
#include "core/formats/gguf/gguf_value.h"
#include "core/tensor/dtype.h"

namespace hone {

template <class T>
concept GgufScalar = std::is_arithmetic_v<T> &&(sizeof(T) <= 8) && !std::same_as<T, long double>;

// The GGUF type of a C++ number: bool, or by width, sign and kind.
template <GgufScalar T>
constexpr GgufType GgufTypeOf() {
  if constexpr (std::same_as<T, bool>) return GgufType::kBool;
  if constexpr (std::floating_point<T>) return sizeof(T) == 4 ? GgufType::kF32 : GgufType::kF64;
  constexpr bool kSigned = std::signed_integral<T>;
  switch (sizeof(T)) {
    case 1:
      return kSigned ? GgufType::kI8 : GgufType::kU8;
    case 2:
      return kSigned ? GgufType::kI16 : GgufType::kU16;
    case 4:
      return kSigned ? GgufType::kI32 : GgufType::kU32;
    default:
      return kSigned ? GgufType::kI64 : GgufType::kU64;
  }
}

// Metadata and tensors of a file to be. Setting a key again replaces its value and keeps its place.
class GgufHeader {
 public:
  template <GgufScalar T>
  void Set(std::string_view key, T value) {
    SetBytes(key, GgufTypeOf<T>(), std::as_bytes(std::span(&value, 1)));
  }
  template <GgufScalar T>
  void SetArray(std::string_view key, std::span<const T> values) {
    static_assert(!std::same_as<T, bool> || sizeof(bool) == 1);
    SetArrayBytes(key, GgufTypeOf<T>(), values.size(), std::as_bytes(values));
  }
  void SetText(std::string_view key, std::string_view text);
  void SetTexts(std::string_view key, std::span<const std::string> texts);
  // A value as another file holds it, bytes and type unchanged.
  void Copy(std::string_view key, const GgufValue& value);
  void Remove(std::string_view key);

  // `shape` is row-major, slowest dimension first. Refused by name: a second tensor of the name, an empty
  // name, more than four dimensions, a dimension below 1, rows that are no multiple of the type's block.
  Result<void> AddTensor(std::string_view name, DType type, std::vector<int64_t> shape);

  struct Tensor {
    std::string name;
    DType type;
    std::vector<int64_t> shape;
    uint64_t size;    // bytes
    uint64_t offset;  // from the beginning of the tensor data
  };
  const std::vector<Tensor>& tensors() const { return tensors_; }

  // The file's bytes up to its tensor data, padded.
  std::string Encode() const;

 private:
  void SetEncoded(std::string_view key, std::string encoded);
  void SetBytes(std::string_view key, GgufType type, std::span<const std::byte> payload);
  void SetArrayBytes(std::string_view key, GgufType type, uint64_t count, std::span<const std::byte> payload);

  std::vector<std::pair<std::string, std::string>>
      metadata_;  // key, then type and payload as they lie in the file
  std::vector<Tensor> tensors_;
  std::unordered_set<std::string> names_;
  uint64_t end_ = 0;  // of the last tensor, padded
};

// Create, Write until every declared byte of every tensor has come in order, Finish. Dropped before that, it
// leaves nothing.
class GgufWriter {
 public:
  static Result<GgufWriter> Create(const std::string& path, GgufHeader header);

  // The next bytes of the tensor data, in pieces of any size; the padding between tensors is added here. More
  // than was declared is refused.
  Result<void> Write(std::span<const std::byte> bytes);
  // Refused while bytes are missing, by the name of the tensor that lacks them.
  Result<void> Finish();

 private:
  GgufWriter(std::string path, GgufHeader header, OutputFile file)
      : path_(std::move(path)), header_(std::move(header)), file_(std::move(file)) {}

  std::string path_;
  GgufHeader header_;
  OutputFile file_;
  size_t tensor_ = 0;     // the one being written
  uint64_t written_ = 0;  // bytes of it
};

}  // namespace hone
