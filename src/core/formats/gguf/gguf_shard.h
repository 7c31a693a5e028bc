// One GGUF file, read and checked by itself. What joins shards to a set is in gguf_file.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/result.h"
#include "core/formats/gguf/gguf_value.h"
#include "core/tensor/file_tensor.h"

namespace hone {

struct GgufShard {
  std::unique_ptr<MappedFile> file;  // its address is what the tensors point to
  uint32_t version = 0;
  std::vector<std::pair<std::string, GgufValue>> metadata;
  std::vector<FileTensor> tensors;
  uint64_t end =
      0;  // of the last tensor (or of the header), in the file: more bytes are padding, or another file
};

// Limits that no real file comes near: they bound what a hostile file can make a reader allocate.
inline constexpr uint64_t kMostGgufKeys = 1 << 16;
inline constexpr uint64_t kMostGgufTensors = 1 << 18;
inline constexpr uint32_t kMostGgufDimensions = 4;

Result<GgufShard> ReadGgufShard(const std::string& path);

// The value under `key`, or null.
const GgufValue* FindGgufValue(const GgufShard& shard, std::string_view key);

// An integer of any width and sign as int64; the error names what was found.
Result<int64_t> GgufInteger(const std::string& path, std::string_view key, const GgufValue& value);

}  // namespace hone
