// What all packed formats share in plain C++: the description of a format, the decoder of one block, which is
// the scalar target, the row reader and the oracle of the tests, and the class that turns a description into
// a WeightFormat.
//
// A group of kRowGroup rows is a sequence of units; a unit holds 16 file blocks, one a row, of `unit_columns`
// columns, in as many bytes as the file takes. Quantized units consist of 32-column blocks whose codes lie in
// vectors of 64 bytes: 16 rows times a piece of 4 bytes, so that a 32-bit lane belongs to one row.
#pragma once

#include <array>
#include <cstring>

#include "core/kernels/matmul.h"
#include "core/tensor/half.h"

namespace hone {

// 32 columns of one row. With h = column / 16:
//   value = code * (scale * sub[h]) + min + min_scale * min_sub[h]
struct DecodedBlock {
  std::array<int, 32> code{};
  std::array<int, 2> sub{1, 1};
  float scale = 0;
  float min = 0;
  std::array<int, 2> min_sub{0, 0};
  float min_scale = 0;
};

// Which of the terms above a format has.
enum class Minimum : uint8_t { kNone, kPerBlock, kPerHalf };

using MultiplyFunction = void (*)(const MatmulTask&);

// A block-quantized format.
struct BlockFormat {
  DType type;
  int unit_columns;
  int unit_bytes;
  Minimum minimum;
  // Moves `units` consecutive file blocks of row `row` of the group to their places in as many units. Blocks
  // of zero bytes pack to zero bytes, and all rows together fill their units.
  void (*pack)(const std::byte* file_blocks, int64_t units, int row, std::byte* first_unit);
  // Block `block` (of 32 columns) of row `row` in the unit.
  void (*decode)(const std::byte* unit, int block, int row, DecodedBlock& out);
  MultiplyFunction multiply_int8;  // these choose by the active CPU target
  MultiplyFunction multiply_float;
};

class BlockWeightFormat final : public WeightFormat {
 public:
  explicit BlockWeightFormat(const BlockFormat& format) : format_(format) {}
  DType source() const override { return format_.type; }
  ActivationForm form(NumericMode mode) const override {
    return mode == NumericMode::kFast ? ActivationForm::kInt8 : ActivationForm::kFloat;
  }
  int64_t GroupBytes(int64_t columns) const override;
  void PackGroup(const std::byte* file_rows, int64_t rows, int64_t columns, std::byte* group) const override;
  void Multiply(const MatmulTask& task) const override;
  void ReadRow(const PackedMatrix& w, int64_t row, std::span<float> values) const override;
  const BlockFormat& description() const { return format_; }

 private:
  BlockFormat format_;
};

const WeightFormat& F32Format();
const WeightFormat& F16Format();
const WeightFormat& BF16Format();
const WeightFormat& Q8_0Format();
const WeightFormat& Q4_0Format();
const WeightFormat& Q4_1Format();
const WeightFormat& Q5_0Format();
const WeightFormat& Q5_1Format();
const WeightFormat& Q2_KFormat();
const WeightFormat& Q3_KFormat();
const WeightFormat& Q4_KFormat();
const WeightFormat& Q5_KFormat();
const WeightFormat& Q6_KFormat();
const WeightFormat& IQ4_NLFormat();
const WeightFormat& IQ4_XSFormat();

// The plain C++ kernels of matrices in a BlockWeightFormat, with the sums of the vector kernels.
void ScalarInt8Multiply(const MatmulTask& task);
void ScalarFloatMultiply(const MatmulTask& task);

template <class T>
T LoadAs(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// 16 rows of float16 numbers: the number of `row`.
inline float HalfAt(const std::byte* halves, int row) { return F16ToF32(LoadAs<uint16_t>(halves + 2 * row)); }

// BlockFormat::pack for what packs one block: the loop that the compiler sees whole.
template <void (*pack_block)(const std::byte* file_block, int row, std::byte* unit), int block_bytes,
          int unit_bytes>
void PackBlocks(const std::byte* file_blocks, int64_t units, int row, std::byte* first_unit) {
  for (int64_t i = 0; i < units; ++i)
    pack_block(file_blocks + i * block_bytes, row, first_unit + i * unit_bytes);
}

// Copies the 4-byte pieces of one row to their lanes in consecutive 64-byte vectors.
inline void PlacePieces(const std::byte* pieces, int count, int row, std::byte* vectors) {
  for (int i = 0; i < count; ++i) std::memcpy(vectors + 64 * i + 4 * row, pieces + 4 * i, 4);
}

// Where block `block` of the activation row `row` lies, and its parts (see ActivationForm).
struct Int8Block {
  const std::byte* at;  // the group's block
  int64_t group_rows;   // R
  int64_t row_in_group;

  int Value(int column) const {
    return static_cast<int8_t>(at[(column / 4 * group_rows + row_in_group) * 4 + column % 4]);
  }
  float scale() const { return LoadAs<float>(at + 32 * group_rows + 4 * row_in_group); }
  float scaled_sum() const { return LoadAs<float>(at + 36 * group_rows + 4 * row_in_group); }
  int sum(int half) const { return LoadAs<int16_t>(at + 40 * group_rows + 4 * row_in_group + 2 * half); }
};

// Bytes of one row and block of kInt8 activations.
inline constexpr int64_t kInt8BlockBytes = 44;

inline Int8Block FindInt8Block(const std::byte* data, int64_t rows, int64_t columns, int64_t row,
                               int64_t block) {
  const int64_t first = row / kActivationGroup * kActivationGroup;
  const int64_t in_group = rows - first < kActivationGroup ? rows - first : kActivationGroup;
  const int64_t blocks = columns / kActivationBlock;
  return {data + (first * blocks + block * in_group) * kInt8BlockBytes, in_group, row - first};
}

// From a block's first codes to its second ones (see ActivationForm).
inline int64_t ToSecondCodes(int64_t rows, int64_t columns) {
  return rows * (columns / kActivationBlock) * kInt8BlockBytes;
}

}  // namespace hone
