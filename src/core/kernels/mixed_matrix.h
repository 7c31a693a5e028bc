// 2-, 4- and 16-bit weights in one matrix W [N, K] ("Fast and Efficient 2-bit LLM Inference on GPU:
// 2/4/16-bit in a Weight Matrix with Asynchronous Dequantization", arXiv 2311.16442). Columns come in bands
// of 16. A band has one precision for all rows:
//   4 bits:  w = (q - z) s, q and z of 4 bits, float16 s, by (row, band);
//   2 bits:  w = (q - z) (c + o) u, q and z of 2 bits by (row, band); the scale itself is quantized: a code c
//   of
//            3 or 4 bits by (row, band), an offset o and a float16 unit u for the 16 rows of a tile.
// The columns of some weights of the 2-bit bands, as many in each row, and their float16 values stand apart
// (outliers); their codes equal z, which is 0.
//
// A group of 16 rows holds, each part starting where the last ends:
//   64 bytes for each 2-bit band: lane `row` of 4 bytes, byte b has the columns b, 4 + b, 8 + b, 12 + b;
//   128 bytes for each 4-bit band: two such vectors, low halves the columns b (4 + b), high halves 8 + b (12
//   + b); 32 bytes for each three 2-bit bands: by row 16 bits, z of 2, 2, 2 and c of 3, 3, 4; 8 bytes for
//   each three 2-bit bands: o of 4, 4, 4 bits in one number of 16, then u of each; 32 bytes for each 4-bit
//   band: s by row;  8 bytes for each: z by row, 4 bits; 64 bytes for each outlier of a row: its column by
//   row, its value by row.
// That is 2.417 bits a weight in 2-bit bands, 5.25 in 4-bit bands, 32 an outlier.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/kernels/matmul.h"

namespace hone {

inline constexpr int kBandColumns = 16;

struct MixedLayout {
  int64_t columns = 0;
  std::vector<uint16_t> two;   // the bands of 2 bits, rising: a multiple of three
  std::vector<uint16_t> four;  // the bands of 4 bits, rising
  int64_t outliers = 0;        // of a row

  // `four_bits` has a value for each band; refused where the columns are not a multiple of 32 or the 2-bit
  // bands no multiple of three.
  static Result<MixedLayout> Make(std::span<const uint8_t> four_bits, int64_t outliers);

  int64_t fours() const { return 64 * static_cast<int64_t>(two.size()); }
  int64_t words() const { return fours() + 128 * static_cast<int64_t>(four.size()); }
  int64_t units() const { return words() + 32 * static_cast<int64_t>(two.size()) / 3; }
  int64_t scales() const { return units() + 8 * static_cast<int64_t>(two.size()) / 3; }
  int64_t zeros() const { return scales() + 32 * static_cast<int64_t>(four.size()); }
  int64_t outlier_columns() const { return zeros() + 8 * static_cast<int64_t>(four.size()); }
  // Bytes of a group.
  int64_t bytes() const { return outlier_columns() + 64 * outliers; }
};

// A tile: 16 rows of a band.
struct TwoBitTile {
  std::array<std::array<uint8_t, kBandColumns>, kRowGroup> code{};  // [row][column]
  std::array<uint8_t, kRowGroup> zero{};
  std::array<uint8_t, kRowGroup> scale{};  // c; below 8 unless the band is the third of three
  uint8_t offset = 0;                      // o, below 16
  float unit = 0.0f;                       // u, a float16 number
};
struct FourBitTile {
  std::array<std::array<uint8_t, kBandColumns>, kRowGroup> code{};
  std::array<uint8_t, kRowGroup> zero{};
  std::array<float, kRowGroup> scale{};  // float16 numbers
};
struct MixedOutlier {
  uint16_t column = 0;
  float value = 0.0f;  // a float16 number
};
// Scale codes of the i-th 2-bit band end below this.
inline int ScaleCodes(int64_t i) { return i % 3 == 2 ? 16 : 8; }

// The i-th tile of its kind, the k-th outlier of a row; `group` holds layout.bytes(), zero before the first
// call.
void WriteTile(const MixedLayout& layout, int64_t i, const TwoBitTile& tile, std::byte* group);
void WriteTile(const MixedLayout& layout, int64_t i, const FourBitTile& tile, std::byte* group);
void WriteOutlier(const MixedLayout& layout, int row, int64_t k, const MixedOutlier& outlier,
                  std::byte* group);
void ReadTile(const MixedLayout& layout, int64_t i, const std::byte* group, TwoBitTile& tile);
void ReadTile(const MixedLayout& layout, int64_t i, const std::byte* group, FourBitTile& tile);
MixedOutlier ReadOutlier(const MixedLayout& layout, int row, int64_t k, const std::byte* group);

// How one matrix of this layout is multiplied; it outlives every PackedMatrix that names it. PackGroup takes
// groups as they are described above. All kernels add first the 2-bit bands, then the 4-bit bands, then the
// outliers, each in order:
//   sum = fma(float(sum_k q_k x_k - z sum_k x_k), (c + o) * (u * scale_x), sum)    2 bits
//   sum = fma(float(sum_k q_k x_k - z sum_k x_k), s * scale_x, sum)                4 bits
//   sum = fma(value, x, sum)                                                       outliers
// with x of 8 bits; with float activations the weights are expanded and added in rising order of columns.
std::unique_ptr<WeightFormat> MakeMixedFormat(MixedLayout layout);

}  // namespace hone
