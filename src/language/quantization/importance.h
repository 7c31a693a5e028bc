// How much each column of a matrix matters: the mean square of what a calibration text multiplies it with.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace hone {

// By the name of the tensor ("blk.0.attn_q.weight"), one number a column, not negative and finite.
using Importance = std::map<std::string, std::vector<float>>;

}  // namespace hone
