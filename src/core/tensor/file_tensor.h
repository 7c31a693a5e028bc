// A tensor where it lies in a file, whatever the file's format.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/tensor/dtype.h"

namespace hone {

// `shape` is row-major, slowest dimension first (GGUF lists it the other way round): a matrix is [rows,
// columns].
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
  int64_t elements() const { return rows() * columns(); }
};

}  // namespace hone
