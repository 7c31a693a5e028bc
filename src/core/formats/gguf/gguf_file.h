// GGUF files (versions 2 and 3, little-endian), opened through a memory map; a split set opens from any of its shards.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/result.h"
#include "core/tensor/dtype.h"

namespace hone {

// A tensor of a file. `shape` is row-major, slowest dimension first (GGUF lists it the other way round): a matrix is
// [rows, columns].
struct FileTensor {
  std::string name;
  DType type = DType::kF32;
  std::vector<int64_t> shape;
  const MappedFile* file = nullptr;
  uint64_t offset = 0;  // of the first byte, in the file
  uint64_t size = 0;    // bytes

  std::span<const std::byte> bytes() const { return file->bytes().subspan(offset, size); }
  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const {
    int64_t count = 1;
    for (size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
    return count;
  }
};

enum class GgufType : uint32_t {
  kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64,
};

// One metadata value; arrays and strings stay in the file and are views into it.
struct GgufValue {
  GgufType type = GgufType::kU32;
  GgufType element_type = GgufType::kU32;  // of an array
  uint64_t count = 0;                      // of an array
  std::span<const std::byte> payload;      // the value's bytes: a scalar, a string's characters, an array's elements
};

class GgufFile {
 public:
  // Checks everything that can be checked without reading tensor data; errors name the file and the field.
  static Result<GgufFile> Open(const std::string& path);

  const std::string& path() const;
  uint32_t version() const;

  // --- metadata; a key of another type than asked is an error, an absent key is nullopt. Integers of any width and
  // sign convert where the value fits.
  std::span<const std::pair<std::string, GgufValue>> metadata() const;  // in file order
  const GgufValue* Find(std::string_view key) const;
  Result<std::optional<int64_t>> Integer(std::string_view key) const;
  Result<std::optional<double>> Real(std::string_view key) const;  // integers convert too
  Result<std::optional<bool>> Boolean(std::string_view key) const;
  Result<std::optional<std::string_view>> Text(std::string_view key) const;
  Result<std::optional<std::vector<int64_t>>> Integers(std::string_view key) const;  // a scalar is a list of one
  Result<std::optional<std::vector<float>>> Reals(std::string_view key) const;
  Result<std::optional<std::vector<bool>>> Booleans(std::string_view key) const;
  Result<std::optional<std::vector<std::string_view>>> Texts(std::string_view key) const;

  // --- tensors, in file order
  std::span<const FileTensor> tensors() const;
  const FileTensor* FindTensor(std::string_view name) const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace hone
