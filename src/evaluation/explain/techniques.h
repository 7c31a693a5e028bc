// The techniques that hone has, in the order of the survey of efficient inference (arXiv 2404.14294, section
// 3): which stage each helps, what it costs, which factor it reduces. One explicit table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "language/models/operators.h"

namespace hone {

enum class Level : uint8_t { kData, kModel, kSystem };
std::string_view Name(Level level);

// What a technique makes less of; a technique may have several.
enum Factor : uint8_t { kCompute = 1, kAccess = 2, kCapacity = 4 };
std::string FactorNames(uint8_t factors);

enum Stage : uint8_t { kPrefill = 1, kDecode = 2, kServing = 4 };
std::string StageNames(uint8_t stages);

constexpr uint16_t OperatorBit(Operator op) { return static_cast<uint16_t>(1u << static_cast<unsigned>(op)); }

struct Technique {
  std::string_view name;
  Level level;
  std::string_view group;  // "compression", "engine", ...
  std::string_view leaf;   // "quantization: weight only", ...
  uint8_t stages;          // of Stage
  bool exact;              // the result is that of the plain computation, but for the order of sums
  std::string_view needs;  // "nothing", "a quantized file", "calibration", ...
  uint8_t factors;         // of Factor
  // What it occupies: two techniques of one exclusive interface cannot act on the same tensor.
  std::string_view interface;
  std::string_view conflicts;  // names, separated by commas; empty: none
  std::string_view how;        // how a user turns it on or off
  std::string_view gain;       // what it does, one line
  uint16_t helps;              // the operators whose cost it lowers: OperatorBit of each
};

std::span<const Technique> Techniques();

// Those that lower the cost of `op` where `factor` is what limits it.
std::vector<const Technique*> TechniquesFor(Operator op, Factor factor);

}  // namespace hone
