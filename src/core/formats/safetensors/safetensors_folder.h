// The weights of a Hugging Face folder: model.safetensors, or the shards that model.safetensors.index.json
// lists.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/tensor/file_tensor.h"

namespace hone {

// Cheap to copy; the copies share the maps. FileTensors live as long as any copy.
class SafetensorsFolder {
 public:
  // `path` is a folder, or one safetensors file by itself. model.safetensors wins over an index beside it.
  // Refused: a folder with neither, an index that names a shard or a tensor that is not there or a file
  // outside the folder, and whatever is wrong in a file (see ReadSafetensorsFile). Errors name the file and
  // the tensor.
  static Result<SafetensorsFolder> Open(const std::string& path);

  const std::string& path() const;  // as it was given to Open

  // In the order of the shards' names and of their offsets. Tensors that the index does not list are left
  // out.
  std::span<const FileTensor> tensors() const;
  const FileTensor* FindTensor(std::string_view name) const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace hone
