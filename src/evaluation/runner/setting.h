// A numeric setting of an evaluation: how many bits weights, activations and the cache have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

// "w4a16kv16": bits of the weights in linear layers, of the activations that they are multiplied with, of
// keys and values. What is left out is 16.
struct EvalSetting {
  std::string name;
  int weights = 16;                     // 16: as the file has them
  int activations = 16;                 // 16: floats (exact mode); 8: bytes with a scale a block (fast mode)
  int kv = 16;                          // 16: float16; 32: float32
  std::vector<std::string> plans = {};  // folders

  // The type mix that hone quantize makes for the weights, such as "Q4_K_S"; empty for 16.
  std::string_view type_mix() const;
};

// Refused: text of another form (kUsage), and a setting that no kernel of this program runs (kFailed, with
// what does run).
Result<EvalSetting> ParseSetting(const std::string& text);

}  // namespace hone
