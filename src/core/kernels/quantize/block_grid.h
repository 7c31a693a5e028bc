// The grid that a packed block spans, and its codes: for algorithms that choose codes themselves after the
// block's scales have been chosen (GPTQ).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/tensor/dtype.h"

namespace hone {

// Value i of a block with code c is base[i] + step[i] * level, where level is c, or kNonlinearLevels[c] for
// IQ4_NL and IQ4_XS, up to a rounding of float32.
struct BlockGrid {
  float base[256];
  float step[256];
  int codes = 0;  // c is in 0 .. codes - 1
  bool nonlinear = false;

  // The code nearest to x at place i, and its value.
  struct Choice {
    uint8_t code;
    float value;
  };
  Choice Nearest(int i, float x) const;
};

// `type` is one of the twelve quantized types; `block` one block of it.
void ReadGrid(DType type, const std::byte* block, BlockGrid& grid);
// Replaces the codes of the block and leaves its scales: one code a value.
void WriteCodes(DType type, std::span<const uint8_t> codes, std::byte* block);

}  // namespace hone
