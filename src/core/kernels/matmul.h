// y = x W^T for a weight matrix W [rows N, columns K] in hone's packed layout and activations x [M, K].
//
// One packed layout serves all CPU targets, decode (M = 1), flat (M < 64) and prefill: rows are interleaved
// in groups of kRowGroup, block of columns after block of columns, so that a SIMD lane is a weight row, an
// activation is broadcast and no kernel ever sums across lanes. Every kernel of a format adds the blocks of K
// in rising order into one float accumulator a (row, activation): the result of a row is the same bit for bit
// for every M, thread count and tile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/tensor/dtype.h"
#include "core/tensor/view.h"

namespace hone {

// kExact multiplies with float activations; kFast quantizes activations to 8 bits by row and block of 32
// columns where the weights are quantized themselves, and blocks with outliers to 15.
enum class NumericMode : uint8_t { kExact, kFast };

inline constexpr int64_t kRowGroup = 16;  // weight rows that are interleaved
inline constexpr int64_t kActivationBlock = 32;

// How activations are laid out for a matmul.
//   kFloat: [M, K] float32, row-major.
//   kInt8: x ~ scale * q with q in [-127, 127] and scale = max|x| / 127 for each row and block of 32 columns.
//   Rows stand in groups of kActivationGroup (the last group has what is left over); a group of R rows holds
//   for each block [8 pieces][R rows][4] int8, [R] float scale, [R] float scale * sum(q), [R][2] int16 sums
//   of the halves of q. A NaN or infinite value makes its block's scale NaN, so that it surfaces in every
//   result of its row.
//   Behind all of that stand as many bytes of the same form for what the first codes leave out, x - scale q.
//   It is kept where a block's largest value exceeds kOutlierLevel times the row's median of these: there the
//   step, which the largest value sets, is coarse for all others. Elsewhere the second scale and scale *
//   sum(q) are 0, and the rest is not written. A product adds a block's second codes behind its first ones.
enum class ActivationForm : uint8_t { kFloat, kInt8 };
inline constexpr int64_t kActivationGroup = 8;
inline constexpr float kOutlierLevel = 3.0f;

// M rows of activations, prepared once and read by every matrix of that form that they are multiplied with.
// The memory belongs to the caller (scratch); see PreparedBytes and Prepare.
struct Activations {
  ActivationForm form = ActivationForm::kFloat;
  int64_t rows = 0;
  int64_t columns = 0;
  const std::byte* data = nullptr;
};

class WeightFormat;

// A matrix in packed form. Rows are padded to a multiple of kRowGroup with zero rows.
struct PackedMatrix {
  const WeightFormat* format = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  const std::byte* data = nullptr;
};

// What a product runs on. All kernels of a format give the same bits, so the choice is one of speed alone:
//   kMatvec  weights are unpacked in registers, for one row of activations after the other;
//   kFlat    weights are unpacked in registers, for a tile of rows at once;
//   kPanels  weights are unpacked into a panel in cache that all rows read.
enum class MatmulKernel : uint8_t { kMatvec, kFlat, kPanels };
inline constexpr std::array<std::string_view, 3> kMatmulKernelNames = {"matvec", "flat", "panels"};

// y[m, n] for all m and n in [row_begin, row_end); row_begin is a multiple of kRowGroup; y is [M, N].
struct MatmulTask {
  PackedMatrix w;
  Activations x;
  int64_t row_begin = 0;
  int64_t row_end = 0;
  MatrixView<float> y;
  MatmulKernel kernel = MatmulKernel::kPanels;
};

// How a matrix is stored and multiplied. One implementation a source file; the table is in weight_formats.cc.
class WeightFormat {
 public:
  virtual ~WeightFormat() = default;
  virtual DType source() const = 0;  // the type in the file whose values the packed form keeps exactly
  virtual ActivationForm form(NumericMode mode) const = 0;

  // Bytes of kRowGroup packed rows; a matrix takes ceil(rows / kRowGroup) times that. A multiple of 64.
  virtual int64_t GroupBytes(int64_t columns) const = 0;
  // Packs `rows` <= kRowGroup consecutive rows of the file (each RowBytes(source(), columns) long) into one
  // group. Missing rows become zero rows. NaN or infinite scales are kept as they are: they surface as NaN
  // results.
  virtual void PackGroup(const std::byte* file_rows, int64_t rows, int64_t columns,
                         std::byte* group) const = 0;

  virtual void Multiply(const MatmulTask& task) const = 0;
  // The values of one row, as the file's dequantizer gives them (float32, same bits).
  virtual void ReadRow(const PackedMatrix& w, int64_t row, std::span<float> values) const = 0;
};

// The format that keeps `type`, or null where no kernel exists for it.
const WeightFormat* FindWeightFormat(DType type);
std::span<const WeightFormat* const> WeightFormats();

// Bytes that M prepared rows take, and the preparation itself (rows [begin, end) of x, so that threads can
// share it).
int64_t PreparedBytes(ActivationForm form, int64_t rows, int64_t columns);
void Prepare(ActivationForm form, MatrixView<const float> x, int64_t begin, int64_t end, std::byte* data);

// What a product of form kInt8 sees of a row: x becomes the values of its codes. A multiple of 32 values.
void RoundAsInt8(std::span<float> x);

// The instruction that multiplies bytes on the active CPU target: "scalar", "maddubs" (AVX2), "vpdpbusd"
// (AVX-512 VNNI) or "smull" (NEON).
std::string_view ActiveInt8Kernel();

}  // namespace hone
