// GGUF files (versions 2 and 3, little-endian), opened through a memory map; a split set opens from any of
// its shards. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/result.h"
#include "core/formats/gguf/gguf_value.h"
#include "core/tensor/file_tensor.h"

namespace hone {

// Cheap to copy; the copies share the maps. Views and FileTensors live as long as any copy.
class GgufFile {
 public:
  // Checks everything that can be checked without reading tensor data, and reads no tensor data: names, types
  // and counts, that every array and tensor lies inside its file, that no tensor overlaps another, that all
  // shards of a set are there and belong together. Errors name the file and the field.
  static Result<GgufFile> Open(const std::string& path);

  const std::string& path() const;  // as it was given to Open
  uint32_t version() const;         // of the first shard
  std::vector<const MappedFile*> shards()
      const;  // the files of the set, in order; one for a file that is not split

  // --- metadata, of the first shard; a key of another type than asked is an error, an absent key is nullopt.
  // Integers of any width and sign convert where the value fits.
  std::span<const std::pair<std::string, GgufValue>> metadata() const;  // in file order
  const GgufValue* Find(std::string_view key) const;
  Result<std::optional<int64_t>> Integer(std::string_view key) const;
  Result<std::optional<double>> Real(std::string_view key) const;  // integers convert too
  Result<std::optional<bool>> Boolean(std::string_view key) const;
  Result<std::optional<std::string_view>> Text(std::string_view key) const;
  // A scalar is a list of one; an array without elements fits every type.
  Result<std::optional<std::vector<int64_t>>> Integers(std::string_view key) const;
  Result<std::optional<std::vector<float>>> Reals(std::string_view key) const;
  Result<std::optional<std::vector<bool>>> Booleans(std::string_view key) const;
  Result<std::optional<std::vector<std::string_view>>> Texts(std::string_view key) const;
  // The same strings without a list of them: what a vocabulary is read through.
  Result<std::optional<GgufStrings>> Strings(std::string_view key) const;

  // --- tensors, in file order, shard by shard
  std::span<const FileTensor> tensors() const;
  const FileTensor* FindTensor(std::string_view name) const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace hone
