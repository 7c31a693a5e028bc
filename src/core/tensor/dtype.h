// Element types of tensors in files, and how they lie in memory. Numbers and layouts are those of GGUF
// (ggml).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hone {

enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI8,
  kI16,
  kI32,
  kI64,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
  kMixed2,  // no file's: see core/kernels/mixed_matrix.h
};

// A row of a tensor is a sequence of blocks: `elements` values in `bytes` bytes.
struct DTypeInfo {
  DType type;
  std::string_view name;  // as users write it: "Q4_K"
  int ggml_id;            // the number in a GGUF file; -1: none
  int elements;
  int bytes;
};

const DTypeInfo& Info(DType type);
std::optional<DType> DTypeFromGgml(uint32_t ggml_id);
std::optional<DType> DTypeFromName(std::string_view name);  // any letter case

// Bytes of a row of `columns` values; `columns` is a multiple of the block's elements.
inline int64_t RowBytes(DType type, int64_t columns) {
  const DTypeInfo& info = Info(type);
  return columns / info.elements * info.bytes;
}

}  // namespace hone
