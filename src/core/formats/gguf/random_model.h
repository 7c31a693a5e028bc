// Whole models with random weights: as large as a real one, so that speed and memory can be measured without
// a download, and as small as a test needs.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/tensor/dtype.h"

namespace hone {

// A Llama of a known size.
struct RandomModelShape {
  std::string_view name;
  int64_t layers;
  int64_t width;
  int64_t heads;
  int64_t kv_heads;
  int64_t feed_forward;
  int64_t vocabulary;
  int64_t context;
};

// "llama-1.1b" (TinyLlama), "llama-160m" and "llama-tiny" (for tests).
std::span<const RandomModelShape> RandomModelShapes();

// The types that a random model can be written in: the 15 of weights.
std::span<const DType> RandomModelTypes();

// Writes a Llama of the shape called `like` to `path`, all its matrices (embedding and head included) in
// `type`, the norms in F32. Weights are independent, nearly Gaussian, with a standard deviation of about 1 /
// sqrt(columns) in every type; blocks are drawn directly, nothing is quantized. The same arguments give the
// same bytes.
//
// The vocabulary is byte-level and complete: 256 bytes, merges of Latin letters up to the shape's size, and
// the control tokens <|begin|>, <|end|>, <|im_start|> and <|im_end|>, with a ChatML template.
//
// `progress` is told the tensor bytes written and their total. Errors: an unknown shape or a type that is not
// one of weights (kUsage), a failed write (kFailed).
Result<void> WriteRandomModel(std::string_view like, DType type, uint64_t seed, const std::string& path,
                              const std::function<void(uint64_t done, uint64_t total)>& progress = {});

}  // namespace hone
