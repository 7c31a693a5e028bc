// A model as a Hugging Face folder.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/compute_share.h"
#include "core/base/result.h"
#include "core/tensor/dtype.h"

namespace hone {

struct FolderReport {
  uint64_t bytes = 0;  // of all tensors
  int64_t tensors = 0;
  int64_t out_of_range = 0;  // finite values beyond those of F16, which became the largest ones
};

// Writes the GGUF file `from` to the folder `to`: config.json, the tokenizer's files and model.safetensors,
// every tensor in `type` (F32, F16 or BF16), under the names, in the order of rows and with the norms that
// Hugging Face's own classes expect. `to` must not exist; it appears when it is whole. `progress` is told the
// tensor bytes written and their total.
Result<FolderReport> WriteModelFolder(
    const std::string& from, DType type, const std::string& to,
    const std::function<void(uint64_t done, uint64_t total)>& progress = {});

}  // namespace hone
