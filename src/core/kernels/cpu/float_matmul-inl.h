// Products with float32 activations: 16 weight rows are expanded to float32, a chunk of columns at a time,
// and multiplied in rising order of columns with one fused multiply-add each; chunks go on from the sums in
// y, so that the chunk's size and the tile leave no trace in the result.
#if defined(HONE_CORE_KERNELS_CPU_FLOAT_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_FLOAT_MATMUL_INL_H_
#undef HONE_CORE_KERNELS_CPU_FLOAT_MATMUL_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_FLOAT_MATMUL_INL_H_
#endif

#include "core/kernels/cpu/int8_matmul-inl.h"

#if HONE_X86_LANES
HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

constexpr int64_t kFloatChunk = 256;  // columns: 16 KiB of float32 weights
constexpr int kFloatTileRows = kParts == 1 ? 12 : 6;

// The exact float32 values of 16 rows and `blocks` blocks from block `first` on: panel [column][16].
template <class W>
HWY_INLINE void ExpandBlocks(const std::byte* group, int64_t first, int64_t blocks, float* panel) {
  W w;
  for (int64_t b = 0; b < blocks; ++b) {
    w.Seek(group, first + b);
    if constexpr (W::kStreamBytes > 0) PrefetchAhead<W::kStreamBytes>(w.Stream());
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
#pragma GCC unroll 8
      for (int j = 0; j < 8; ++j) {
        Floats scale = w.Scale(part);
        if constexpr (W::kSubScales) {
          const Ints pair = w.SubPair(part);
          scale = Mul(scale, ToFloats(j < 4 ? LowOf(pair) : HighOf(pair)));
        }
        const Ints codes = w.Piece(part, j);
        Ints each[4];
        if constexpr (W::kSigned) {
          each[0] = ShiftRightSigned<24>(ShiftLeft<24>(codes));
          each[1] = ShiftRightSigned<24>(ShiftLeft<16>(codes));
          each[2] = ShiftRightSigned<24>(ShiftLeft<8>(codes));
          each[3] = ShiftRightSigned<24>(codes);
        } else {
          const Ints low = Repeat32(255), offset = Repeat32(W::kOffset);
          each[0] = Sub32(And(codes, low), offset);
          each[1] = Sub32(And(ShiftRight<8>(codes), low), offset);
          each[2] = Sub32(And(ShiftRight<16>(codes), low), offset);
          each[3] = Sub32(ShiftRight<24>(codes), offset);
        }
#pragma GCC unroll 4
        for (int c = 0; c < 4; ++c) {
          Floats value;
          if constexpr (W::kMinimum == Minimum::kNone) {
            value = Mul(ToFloats(each[c]), scale);
          } else if constexpr (W::kMinimum == Minimum::kPerBlock) {
            value =
                MulAdd(ToFloats(each[c]), scale, w.Min(part));  // the product alone is exact: one rounding
          } else {
            const Ints pair = w.MinPair(part);
            const Ints minimum =
                j < 4 ? ShiftRightSigned<16>(ShiftLeft<16>(pair)) : ShiftRightSigned<16>(pair);
            value = MulAdd(ToFloats(each[c]), scale, Mul(w.Min(part), ToFloats(minimum)));
          }
          StoreFloats(panel + (32 * b + 4 * j + c) * kRowGroup + kLanes * part, value);
        }
      }
    }
  }
}

template <int rows>
HWY_INLINE void RunFloatTile(const float* panel, int64_t columns, const float* x, int64_t x_stride,
                             bool first, int64_t valid, float* y, int64_t stride) {
  Floats sum[kParts][rows];
  if (first) {
#pragma GCC unroll 12
    for (int m = 0; m < rows; ++m) {
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) sum[part][m] = Repeat(0.0f);
    }
  } else {
    LoadTile(y, stride, valid, sum);
  }
  for (int64_t k = 0; k < columns; ++k) {
    Floats w[kParts];
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) w[part] = LoadFloats(panel + k * kRowGroup + kLanes * part);
#pragma GCC unroll 12
    for (int m = 0; m < rows; ++m) {
      const Floats value = RepeatFloat(x + m * x_stride + k);
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) sum[part][m] = MulAdd(w[part], value, sum[part][m]);
    }
  }
  StoreTile(sum, valid, y, stride);
}

// All activation rows times `columns` columns (from column `first` on) of one group.
HWY_NOINLINE inline void RunFloatTiles(const float* panel, int64_t first, int64_t columns,
                                       const Activations& x, int64_t valid, float* y, int64_t stride) {
  const float* values = reinterpret_cast<const float*>(x.data) + first;
  int64_t m = 0;
  const auto run = [&]<int rows>() HWY_ATTR {
    for (; m + rows <= x.rows; m += rows) {
      RunFloatTile<rows>(panel, columns, values + m * x.columns, x.columns, first == 0, valid, y + m * stride,
                         stride);
    }
  };
  run.template operator()<kFloatTileRows>();
  run.template operator()<3>();
  run.template operator()<1>();
}

// `expand(group, first, columns, scratch)` returns the panel [columns][16] of a chunk: scratch or the packed
// data itself.
template <class Expand>
HWY_INLINE void MultiplyFloat(const PackedMatrix& w, const Activations& x, int64_t row_begin, int64_t row_end,
                              MatrixView<float> y, const Expand& expand) {
  alignas(64) float scratch[kFloatChunk * kRowGroup];
  const int64_t group_bytes = w.format->GroupBytes(w.columns);
  for (int64_t row = row_begin; row < row_end; row += kRowGroup) {
    const std::byte* group = w.data + row / kRowGroup * group_bytes;
    for (int64_t first = 0; first < w.columns; first += kFloatChunk) {
      const int64_t columns = std::min(kFloatChunk, w.columns - first);
      const float* panel = expand(group, first, columns, scratch);
      RunFloatTiles(panel, first, columns, x, std::min(kRowGroup, row_end - row), y.data + row, y.stride);
    }
  }
}

template <class W>
HWY_INLINE void MultiplyBlocksFloat(const PackedMatrix& w, const Activations& x, int64_t row_begin,
                                    int64_t row_end, MatrixView<float> y) {
  MultiplyFloat(w, x, row_begin, row_end, y,
                [](const std::byte* group, int64_t first, int64_t columns, float* scratch) HWY_ATTR {
                  ExpandBlocks<W>(group, first / 32, columns / 32, scratch);
                  return static_cast<const float*>(scratch);
                });
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#else  // the scalar target

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

template <class W>
void MultiplyBlocksFloat(const PackedMatrix& w, const Activations& x, int64_t row_begin, int64_t row_end,
                         MatrixView<float> y) {
  ScalarFloatMultiply(w, x, row_begin, row_end, y);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif  // HONE_X86_LANES
#endif
