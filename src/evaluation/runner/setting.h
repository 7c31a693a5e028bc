// A numeric setting of an evaluation: how many bits weights, activations and the cache have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

// "w4a16kv16": bits of the weights in linear layers, of the activations that they are multiplied with, of
// keys and values. What is left out is 16. "w4g64" rounds to nearest in groups of 64 columns (see
// simulation/group_rounding.h) in the place of the file type that `hone quantize` makes. "a8" is what the
// engine's fast mode does (blocks of 32; query, key and value see 15 bits); "a8t", and every other number of
// bits, rounds each token by itself. "kv4g32" has a grid for each 32 channels, "kv4" for each head.
struct EvalSetting {
  std::string name;
  int weights = 16;                     // 16: as the file has them
  int group = 0;                        // 0: a type mix
  int activations = 16;                 // 16: floats (exact mode)
  bool by_token = false;                // a8t
  int kv = 16;                          // 16: float16; 32: float32
  int kv_group = 0;                     // 0: a head, at most 128 channels
  bool simulate = false;                // floats that were rounded, in the place of packed forms
  std::vector<std::string> plans = {};  // folders

  // The type mix that hone quantize makes for the weights, such as "Q4_K_S"; empty for 16 and for groups.
  std::string_view type_mix() const;
};

// Refused: text of another form (kUsage), and a setting that no kernel of this program runs (kFailed, with
// what does run) unless it is simulated.
Result<EvalSetting> ParseSetting(const std::string& text, bool simulate = false);

}  // namespace hone
