// Products with float32 activations: 16 weight rows are expanded to float32, a chunk of columns at a time,
// and multiplied in rising order of columns with one fused multiply-add each; chunks go on from the sums in
// y, so that the chunk's size and the tile leave no trace in the result.
#if defined(HONE_CORE_KERNELS_CPU_FLOAT_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_FLOAT_MATMUL_INL_H_
#undef HONE_CORE_KERNELS_CPU_FLOAT_MATMUL_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_FLOAT_MATMUL_INL_H_
#endif

#include "core/kernels/cpu/float_format.h"
#include "core/kernels/cpu/int8_matmul-inl.h"

#if HONE_LANES
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
#pragma GCC unroll 4
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

// Some groups of 16 rows: panels [column][16], `panel_stride` floats apart.
struct FloatTiles {
  const float* panels;
  int64_t panel_stride;
  int64_t first;  // column
  int64_t columns;
  const Activations* x;
  int64_t valid;  // weight rows that exist
  float* y;       // of the first weight row
  int64_t stride;
};

template <int groups, int rows>
HWY_INLINE void RunFloatTile(const FloatTiles& tiles, int64_t row) {
  constexpr int kAll = groups * kParts;
  const int64_t x_stride = tiles.x->columns;
  const float* x = reinterpret_cast<const float*>(tiles.x->data) + row * x_stride + tiles.first;
  float* y = tiles.y + row * tiles.stride;
  Floats sum[kAll][rows];
  StartTile(tiles.first == 0, y, tiles.stride, tiles.valid, sum);
  for (int64_t k = 0; k < tiles.columns; ++k) {
    Floats w[kAll];
#pragma GCC unroll 8
    for (int i = 0; i < kAll; ++i) {
      w[i] = LoadFloats(tiles.panels + i / kParts * tiles.panel_stride + k * kRowGroup + i % kParts * kLanes);
    }
#pragma GCC unroll 12
    for (int m = 0; m < rows; ++m) {
      const Floats value = RepeatFloat(x + m * x_stride + k);
#pragma GCC unroll 8
      for (int i = 0; i < kAll; ++i) sum[i][m] = MulAdd(w[i], value, sum[i][m]);
    }
  }
  StoreTile(sum, tiles.valid, y, tiles.stride);
}

HWY_NOINLINE inline void RunFloatTiles(const FloatTiles& tiles) {
  int64_t m = 0;
  for (; m + kFloatTileRows <= tiles.x->rows; m += kFloatTileRows) RunFloatTile<1, kFloatTileRows>(tiles, m);
  for (; m + 3 <= tiles.x->rows; m += 3) RunFloatTile<1, 3>(tiles, m);
  for (; m < tiles.x->rows; ++m) RunFloatTile<1, 1>(tiles, m);
}

// One row of activations: several groups at once, for a sum alone waits for each addition.
HWY_NOINLINE inline void RunFloatRow(const FloatTiles& tiles) { RunFloatTile<4, 1>(tiles, 0); }

// `expand(group, first, columns, scratch)` returns the panel [columns][16] of a chunk: scratch or the packed
// data itself.
template <class Expand>
HWY_INLINE void MultiplyFloat(const MatmulTask& task, const Expand& expand) {
  alignas(64) float scratch[kFloatChunk * kRowGroup];
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
  const int64_t group_bytes = w.format->GroupBytes(w.columns);
  for (int64_t row = row_begin; row < row_end;) {
    const std::byte* group = w.data + row / kRowGroup * group_bytes;
    const int64_t groups = x.rows == 1 && row_end - row > 3 * kRowGroup ? 4 : 1;
    const int64_t chunk = kFloatChunk / groups;
    for (int64_t first = 0; first < w.columns; first += chunk) {
      const int64_t columns = std::min(chunk, w.columns - first);
      const float* panels = expand(group, first, columns, scratch);
      for (int64_t g = 1; g < groups; ++g) {
        expand(group + g * group_bytes, first, columns, scratch + g * chunk * kRowGroup);
      }
      const int64_t stride = panels == scratch ? chunk * kRowGroup : group_bytes / 4;
      const int64_t valid = std::min(groups * kRowGroup, row_end - row);
      const FloatTiles tiles{panels, stride, first, columns, &x, valid, y.data + row, y.stride};
      if (groups == 4) {
        RunFloatRow(tiles);
      } else {
        RunFloatTiles(tiles);
      }
    }
    row += groups * kRowGroup;
  }
}

// Formats whose numbers stand alone are described by a Numbers type: kBytes of a number, and Load(at), which
// widens kLanes of them.
//
// Up to 4 groups of packed numbers times one row, or one group times a tile of rows: each number is widened
// in a register where it is used, so that few rows run at the speed of memory.
template <class Numbers, int groups, int rows>
HWY_INLINE void RunDirectTile(const MatmulTask& task, int64_t row, int64_t m) {
  constexpr int kAll = groups * kParts;
  constexpr int kColumnBytes = kRowGroup * Numbers::kBytes;
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
  const int64_t group_bytes = w.format->GroupBytes(w.columns);
  const std::byte* at = w.data + row / kRowGroup * group_bytes;
  const float* values = reinterpret_cast<const float*>(x.data) + m * x.columns;
  Floats sum[kAll][rows];
  StartTile(true, y.row(m) + row, y.stride, 0, sum);
  for (int64_t k = 0; k < w.columns; ++k, at += kColumnBytes) {
    Floats weights[kAll];
#pragma GCC unroll 8
    for (int i = 0; i < kAll; ++i) {
      const std::byte* column = at + i / kParts * group_bytes;
      if (i % kParts == 0) PrefetchAhead<kColumnBytes>(column);
      weights[i] = Numbers::Load(column + i % kParts * kLanes * Numbers::kBytes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Floats value = RepeatFloat(values + r * x.columns + k);
#pragma GCC unroll 8
      for (int i = 0; i < kAll; ++i) sum[i][r] = MulAdd(weights[i], value, sum[i][r]);
    }
  }
  StoreTile(sum, std::min(groups * kRowGroup, row_end - row), y.row(m) + row, y.stride);
}

template <class Numbers>
HWY_INLINE void MultiplyPanelsOfNumbers(const MatmulTask& task) {
  MultiplyFloat(task, [](const std::byte* group, int64_t first, int64_t columns, float* scratch) HWY_ATTR {
    const std::byte* from = group + first * Numbers::kBytes * kRowGroup;
    if constexpr (Numbers::kBytes == 4) return reinterpret_cast<const float*>(from);
    for (int64_t i = 0; i < columns * kRowGroup; i += kLanes) {
      if (i % 32 == 0) PrefetchAhead<64>(from + Numbers::kBytes * i);
      StoreFloats(scratch + i, Numbers::Load(from + Numbers::kBytes * i));
    }
    return static_cast<const float*>(scratch);
  });
}

template <class Numbers>
HWY_INLINE void MultiplyNumbers(const MatmulTask& task) {
  if (task.kernel == MatmulKernel::kPanels) return MultiplyPanelsOfNumbers<Numbers>(task);
  const int64_t m_end = task.x.rows;
  for (int64_t row = task.row_begin; row < task.row_end;) {
    if (m_end == 1 && task.row_end - row > 3 * kRowGroup) {
      RunDirectTile<Numbers, 4, 1>(task, row, 0);
      row += 4 * kRowGroup;
      continue;
    }
    int64_t m = 0;
    if (task.kernel == MatmulKernel::kFlat) {
      for (; m + 4 <= m_end; m += 4) RunDirectTile<Numbers, 1, 4>(task, row, m);
      for (; m + 2 <= m_end; m += 2) RunDirectTile<Numbers, 1, 2>(task, row, m);
    }
    for (; m < m_end; ++m) RunDirectTile<Numbers, 1, 1>(task, row, m);
    row += kRowGroup;
  }
}

template <class W>
HWY_INLINE void MultiplyBlocksFloat(const MatmulTask& task) {
  MultiplyFloat(task, [](const std::byte* group, int64_t first, int64_t columns, float* scratch) HWY_ATTR {
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
void MultiplyBlocksFloat(const MatmulTask& task) {
  ScalarFloatMultiply(task);
}

template <class Numbers>
void MultiplyNumbers(const MatmulTask& task) {
  ScalarPlainMultiply(task);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif  // HONE_LANES
#endif
