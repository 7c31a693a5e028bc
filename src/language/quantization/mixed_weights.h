// 2-, 4- and 16-bit weights in one matrix, with 2.9 bits a weight in all: the choice of the numbers for
// core/kernels/mixed_matrix.h.
//
// Fast and Efficient 2-bit LLM Inference on GPU: 2/4/16-bit in a Weight Matrix with Asynchronous
// Dequantization (arXiv 2311.16442). The bands of 16 columns that lose most at 2 bits get 4; in the others
// the weights that lose most are kept as float16. Costs quality against 4 bits, gains a third of their bytes;
// stands in the place of any other format of the same matrix. Proof: `hone reproduce mixed-2bit`.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/result.h"
#include "core/kernels/mixed_matrix.h"
#include "core/tensor/view.h"

namespace hone {

// Which bands become 4-bit: those with the largest
//   kRange   sum_j H_jj * sum_rows (max - min)^2, the expected loss of a 2-bit group (what the paper's words
//            say)
//   kError   sum_j H_jj * sum_rows (w - w')^2, with w' of 2 bits
//   kRandom  a random number: the control
enum class BandRule : uint8_t { kRange, kError, kRandom };

// How the scales of 2-bit bands are kept. What is packed is kPacked; the others are for comparison alone.
//   kPacked    two of three bands have codes of 3 bits, the third of 4
//   kFourBits  codes of 4 bits throughout
//   kHalf      float16 scales, no second order
enum class ScaleForm : uint8_t { kPacked, kFourBits, kHalf };

// Where outliers may lie.
enum class OutlierPlace : uint8_t { kTwoBitBands, kAnywhere };

struct MixedOptions {
  // Shares of the bands and of the weights of 2-bit bands. The 4-bit bands are at most so many, and leave a
  // multiple of three; outliers are as many in each row.
  double four_bit_share = 0.125;
  double outlier_share = 0.0044;
  BandRule rule = BandRule::kRange;
  ScaleForm scales = ScaleForm::kPacked;
  OutlierPlace outliers = OutlierPlace::kTwoBitBands;  // kAnywhere cannot be packed
  uint64_t seed = 0;                                   // of kRandom
  // False: the range of a group is its minimum and maximum, as in the paper; true: the scale and zero that
  // lose least by H.
  bool search = true;
};

struct MixedWeights {
  MixedLayout layout;
  int64_t rows = 0;
  std::vector<std::byte> groups;  // one after the other, layout.bytes() each; empty where it cannot be packed
  std::vector<float> values;      // [rows, columns] what they stand for, where asked

  double BitsPerWeight() const {
    return 8.0 * static_cast<double>(groups.size()) / static_cast<double>(rows * layout.columns);
  }
};

// Quantizes w [rows, columns]. `importance` [columns] is the diagonal of H = X^T X of the matrix' inputs
// (empty: all ones). `inverse_factor` [columns, columns], where not empty, is R of InverseFactor in gptq.h:
// columns are then rounded one after the other, and later ones make up for what is lost. Refused: columns
// that are not a multiple of 32, sizes that do not match, values that are not finite.
Result<MixedWeights> QuantizeMixed(ComputeShare& share, MatrixView<const float> w,
                                   std::span<const float> importance, std::span<const float> inverse_factor,
                                   const MixedOptions& options, bool keep_values = false);

}  // namespace hone
