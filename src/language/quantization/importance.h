// How much each column of a matrix matters: the mean square of what a calibration text multiplies it with.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "language/calibration/input_moments.h"

namespace hone {

// By the name of the tensor ("blk.0.attn_q.weight"), one number a column, not negative and finite.
using Importance = std::map<std::string, std::vector<float>>;

// For the matrices among `names` that calibration saw.
Importance ImportanceOf(std::span<const LayerMoments> moments, std::span<const std::string> names);

// The file format of llama.cpp's importance matrices: a GGUF of the type "imatrix" with two tensors a matrix,
// NAME.in_sum2 [1, columns] and NAME.counts [1, 1]. The importance is their quotient. Refused: a file of
// another type, a number that is negative or not finite, a matrix without counts.
Result<Importance> ReadImportanceFile(const std::string& path);
// `tokens` is the number of rows that the means were taken over, `window` how many were read together.
Result<void> WriteImportanceFile(const Importance& importance, int64_t tokens, int64_t window,
                                 const std::string& text_name, const std::string& path);

}  // namespace hone
