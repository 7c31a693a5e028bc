// One safetensors file: a header in JSON, then the tensors' bytes.
// Format: https://github.com/huggingface/safetensors (README, "Format")
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/result.h"
#include "core/tensor/file_tensor.h"

namespace hone {

struct SafetensorsFile {
  std::unique_ptr<MappedFile> file;  // its address is what the tensors point to
  std::vector<FileTensor> tensors;   // by rising offset
};

// Checks the header's length and JSON, that no name occurs twice, that each type is known, that each shape
// fits its offsets, and that the tensors fill the file's data without holes, overlaps or rest, as the format
// asks. A tensor's bytes need not be aligned. Errors name the file and the tensor.
Result<SafetensorsFile> ReadSafetensorsFile(const std::string& path);

}  // namespace hone
