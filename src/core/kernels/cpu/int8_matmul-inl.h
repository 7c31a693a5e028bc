// Products with 8-bit activations, for any block format whose lanes are described by a Weights type:
//
//   kOffset      the code stands for code - kOffset (0 where codes are signed, see kSigned)
//   kSigned      codes are signed bytes (AVX2 only; under VNNI such formats add 128 and have kOffset 128)
//   kPieces      how many pieces of 4 products pairs an int16 lane can add: 8 for 4-bit codes, 4 for 5, 2 for
//   6, 1 for 8 kSubScales   integer scales for each 16 columns kMinimum     see Minimum kStreamBytes bytes of
//   a 32-column block, for the prefetch Seek(group, block); Piece(part, j): codes of columns 4j .. 4j+3 of
//   the part's rows; Scale(part); Min(part); Sub(part, half): the sub-scale twice as int16; MinPair(part):
//   both halves' minima as int16
//
// One order of sums for every M and tile: a result starts at 0 and takes block after block
//   sum = fma(float(dot), scale_w * scale_x, sum), then sum = fma(min, scale_x * sum(q), sum),
// dot being exact in int32. So M = 1, few rows and panels give the same bits.
#if defined(HONE_CORE_KERNELS_CPU_INT8_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_INT8_MATMUL_INL_H_
#undef HONE_CORE_KERNELS_CPU_INT8_MATMUL_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_INT8_MATMUL_INL_H_
#endif

#include <algorithm>

#include "core/kernels/cpu/lanes-inl.h"
#include "core/kernels/cpu/packed_format.h"

#if HONE_X86_LANES
HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

// Rows of activations that one tile multiplies; 8 float sums, 8 dot products and the operands stay near the
// registers.
constexpr int kTileRows = kHasByteDot ? 8 : 4;

// The unpacked form of a group of 16 rows, for weights that are multiplied with many activations.
template <class W>
struct Panel {
  static constexpr int kOffset = W::kOffset;
  static constexpr bool kSigned = W::kSigned;
  static constexpr int kPieces = W::kPieces;
  static constexpr bool kSubScales = W::kSubScales;
  static constexpr Minimum kMinimum = W::kMinimum;
  static constexpr int kStreamBytes = 0;
  static constexpr int kScaleAt = 512;
  static constexpr int kMinAt = kScaleAt + 64;
  static constexpr int kSubAt = kMinAt + (kMinimum == Minimum::kNone ? 0 : 64);
  static constexpr int kMinPairAt = kSubAt + (kSubScales ? 64 : 0);
  static constexpr int kBlockBytes = kMinPairAt + (kMinimum == Minimum::kPerHalf ? 64 : 0);

  const std::byte* block = nullptr;

  HWY_INLINE void Seek(const std::byte* panel, int64_t b) { block = panel + b * kBlockBytes; }
  HWY_INLINE Ints Piece(int part, int j) const { return LoadInts(block + 64 * j + 32 * part); }
  HWY_INLINE Floats Scale(int part) const { return LoadFloats(block + kScaleAt + 32 * part); }
  HWY_INLINE Floats Min(int part) const { return LoadFloats(block + kMinAt + 32 * part); }
  HWY_INLINE Ints SubPair(int part) const { return LoadInts(block + kSubAt + 32 * part); }
  HWY_INLINE Ints MinPair(int part) const { return LoadInts(block + kMinPairAt + 32 * part); }

  static HWY_INLINE void Unpack(const std::byte* group, int64_t first_block, int64_t blocks,
                                std::byte* panel) {
    W w;
    for (int64_t b = 0; b < blocks; ++b) {
      w.Seek(group, first_block + b);
      std::byte* to = panel + b * kBlockBytes;
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) StoreInts(to + 64 * j + 32 * part, w.Piece(part, j));
        StoreFloats(to + kScaleAt + 32 * part, w.Scale(part));
        if constexpr (kMinimum != Minimum::kNone) StoreFloats(to + kMinAt + 32 * part, w.Min(part));
        if constexpr (kSubScales) StoreInts(to + kSubAt + 32 * part, w.SubPair(part));
        if constexpr (kMinimum == Minimum::kPerHalf) StoreInts(to + kMinPairAt + 32 * part, w.MinPair(part));
      }
    }
  }
};

// dot[part][m]: exact integer products of the block with the activation rows m of one group; `pieces` are
// theirs, `sums` point to the pair of sums of row 0.
#if HWY_TARGET == HWY_AVX3

template <class W, int rows>
HWY_INLINE void BlockDots(const W& w, const std::byte* pieces, int64_t step, const std::byte* sums,
                          Ints (&dot)[kParts][rows]) {
  Ints second[rows];
#pragma GCC unroll 8
  for (int m = 0; m < rows; ++m) {
    if constexpr (W::kOffset == 0) {
      dot[0][m] = second[m] = Repeat32(0);
    } else if constexpr (W::kSubScales) {
      dot[0][m] = Repeat32(-W::kOffset * LoadAs<int16_t>(sums + 4 * m));
      second[m] = Repeat32(-W::kOffset * LoadAs<int16_t>(sums + 4 * m + 2));
    } else {
      const int both = LoadAs<int16_t>(sums + 4 * m) + LoadAs<int16_t>(sums + 4 * m + 2);
      dot[0][m] = Repeat32(-W::kOffset * both);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const int j = W::kSubScales ? i : i / 2 + i % 2 * 4;
    const Ints codes = w.Piece(0, j);
#pragma GCC unroll 8
    for (int m = 0; m < rows; ++m) {
      Ints& sum = W::kSubScales && i >= 4 ? second[m] : dot[0][m];
      sum = ByteDot(sum, codes, RepeatInt(pieces + j * step + 4 * m));
    }
  }
  if constexpr (W::kSubScales) {
    const Ints first_scale = LowOf(w.SubPair(0));
    const Ints second_scale = HighOf(w.SubPair(0));
#pragma GCC unroll 8
    for (int m = 0; m < rows; ++m) {
      dot[0][m] = Add32(Mul32(dot[0][m], first_scale), Mul32(second[m], second_scale));
    }
  }
}

#else

template <class W, int rows>
HWY_INLINE void BlockDots(const W& w, const std::byte* pieces, int64_t step, const std::byte* sums,
                          Ints (&dot)[kParts][rows]) {
  constexpr int kStride = W::kPieces;
  Ints words[kParts][rows];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const int j = W::kSubScales ? i : i / 2 + i % 2 * 4;
    Ints codes[kParts];
    Ints magnitudes[kParts];
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      codes[part] = w.Piece(part, j);
      if constexpr (W::kSigned) magnitudes[part] = Magnitude8(codes[part]);
    }
#pragma GCC unroll 4
    for (int m = 0; m < rows; ++m) {
      const Ints x = RepeatInt(pieces + j * step + 4 * m);
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) {
        Ints product;
        if constexpr (W::kSigned) {
          // |w| <= 128 and |x| <= 127: a pair stays below 2^15.
          product = MulPairs8(magnitudes[part], TakeSign8(x, codes[part]));
        } else {
          product = MulPairs8(codes[part], x);
        }
        words[part][m] = i % kStride == 0 ? product : Add16(words[part][m], product);
        if (i % kStride == kStride - 1) {
          Ints factor = Repeat16(1);
          if constexpr (W::kSubScales)
            factor = i < 4 ? LowTwice(w.SubPair(part)) : HighTwice(w.SubPair(part));
          const Ints wide = MulPairs16(words[part][m], factor);
          dot[part][m] = i < kStride ? wide : Add32(dot[part][m], wide);
        }
      }
    }
  }
  if constexpr (W::kOffset != 0) {
    static_assert((W::kOffset & (W::kOffset - 1)) == 0);
#pragma GCC unroll 4
    for (int m = 0; m < rows; ++m) {
      const Ints pair = RepeatInt(sums + 4 * m);
      if constexpr (W::kSubScales) {
#pragma GCC unroll 2
        for (int part = 0; part < kParts; ++part) {
          constexpr int kShift = __builtin_ctz(static_cast<unsigned>(W::kOffset));
          dot[part][m] = Sub32(dot[part][m], ShiftLeft<kShift>(MulPairs16(w.SubPair(part), pair)));
        }
      } else {
        const Ints correction = MulPairs16(pair, Repeat16(W::kOffset));
#pragma GCC unroll 2
        for (int part = 0; part < kParts; ++part) dot[part][m] = Sub32(dot[part][m], correction);
      }
    }
  }
}

#endif

// Adds `blocks` blocks to sum[part][m] for `rows` activation rows that start at row `first` of a group of
// `group_rows`.
template <class W, int rows>
HWY_INLINE void AddBlocks(const std::byte* weights, int64_t first_block, int64_t blocks, const std::byte* x,
                          int64_t group_rows, int64_t first, Floats (&sum)[kParts][rows]) {
  W w;
  const int64_t step = 4 * group_rows;
  x += first_block * group_rows * kInt8BlockBytes + 4 * first;
  for (int64_t b = 0; b < blocks; ++b, x += group_rows * kInt8BlockBytes) {
    w.Seek(weights, b);
    if constexpr (W::kStreamBytes > 0) PrefetchAhead<W::kStreamBytes>(w.Stream());
    Ints dot[kParts][rows];
    BlockDots<W, rows>(w, x, step, x + 10 * step, dot);
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      const Floats scale = w.Scale(part);
#pragma GCC unroll 8
      for (int m = 0; m < rows; ++m) {
        const Floats scale_x = RepeatFloat(x + 8 * step + 4 * m);
        sum[part][m] = MulAdd(ToFloats(dot[part][m]), Mul(scale, scale_x), sum[part][m]);
        if constexpr (W::kMinimum == Minimum::kPerBlock) {
          sum[part][m] = MulAdd(w.Min(part), RepeatFloat(x + 9 * step + 4 * m), sum[part][m]);
        }
        if constexpr (W::kMinimum == Minimum::kPerHalf) {
          const Ints minima = MulPairs16(w.MinPair(part), RepeatInt(x + 10 * step + 4 * m));
          sum[part][m] = MulAdd(ToFloats(minima), Mul(w.Min(part), scale_x), sum[part][m]);
        }
      }
    }
  }
}

// y[m][0 .. valid) of a 16-row group.
template <int rows>
HWY_INLINE void StoreTile(const Floats (&sum)[kParts][rows], int64_t valid, float* y, int64_t stride) {
#pragma GCC unroll 8
  for (int m = 0; m < rows; ++m) {
    if (valid >= kRowGroup) {
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) StoreFloats(y + m * stride + kLanes * part, sum[part][m]);
    } else {
      float all[kRowGroup];
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) StoreFloats(all + kLanes * part, sum[part][m]);
      std::copy(all, all + valid, y + m * stride);
    }
  }
}

template <int rows>
HWY_INLINE void LoadTile(const float* y, int64_t stride, int64_t valid, Floats (&sum)[kParts][rows]) {
#pragma GCC unroll 8
  for (int m = 0; m < rows; ++m) {
    float all[kRowGroup];
    const float* from = y + m * stride;
    if (valid < kRowGroup) {
      std::fill(all, all + kRowGroup, 0.0f);
      std::copy(from, from + valid, all);
      from = all;
    }
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) sum[part][m] = LoadFloats(from + kLanes * part);
  }
}

// What a tile works on: activation rows [row, ...) of all, weights of one group.
struct Int8Tile {
  const std::byte* weights;
  int64_t first_block;  // the columns' first block; the weights begin there, the activations do not
  int64_t blocks;
  const Activations* x;
  int64_t valid;  // weight rows that exist
  float* y;       // the group's first column
  int64_t stride;
};

template <class W, int rows, int fixed_group_rows>
HWY_INLINE void RunTile(const Int8Tile& tile, int64_t row) {
  const int64_t group = row / kActivationGroup * kActivationGroup;
  const int64_t left = std::min(kActivationGroup, tile.x->rows - group);
  const int64_t group_rows = fixed_group_rows > 0 ? fixed_group_rows : left;
  const std::byte* x = tile.x->data + group * (tile.x->columns / 32) * kInt8BlockBytes;
  Floats sum[kParts][rows];
  float* y = tile.y + row * tile.stride;
  if (tile.first_block == 0) {
#pragma GCC unroll 8
    for (int m = 0; m < rows; ++m) {
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) sum[part][m] = Repeat(0.0f);
    }
  } else {
    LoadTile(y, tile.stride, tile.valid, sum);
  }
  AddBlocks<W, rows>(tile.weights, tile.first_block, tile.blocks, x, group_rows, row - group, sum);
  StoreTile(sum, tile.valid, y, tile.stride);
}

// Activation rows [begin, end), which begin at a multiple of the group and end at one or at the last row.
template <class W>
HWY_NOINLINE void RunTiles(const Int8Tile& tile, int64_t begin, int64_t end) {
  int64_t m = begin;
  for (; m + kActivationGroup <= end; m += kActivationGroup) {
    for (int64_t i = 0; i < kActivationGroup; i += kTileRows)
      RunTile<W, kTileRows, kActivationGroup>(tile, m + i);
  }
  for (; m + 4 <= end; m += 4) RunTile<W, 4, 0>(tile, m);
  switch (end - m) {
    case 3:
      return RunTile<W, 3, 0>(tile, m);
    case 2:
      return RunTile<W, 2, 0>(tile, m);
    case 1:
      return RunTile<W, 1, 0>(tile, m);
    default:
      return;
  }
}

// Up to this many rows are multiplied with weights unpacked in registers.
constexpr int64_t kDirectRows = 4;
// Groups whose panels are filled at once, so that activations are read from near; and columns of a panel.
constexpr int64_t kPanelGroups = 2;
constexpr int64_t kPanelBlocks = 64;
// Activation rows that stay in the first-level cache while the panels pass.
constexpr int64_t kRowsAtOnce = kActivationGroup;

template <class W>
HWY_INLINE void MultiplyPanels(const PackedMatrix& w, const Activations& x, int64_t row_begin,
                               int64_t row_end, MatrixView<float> y) {
  using P = Panel<W>;
  alignas(64) std::byte panels[kPanelGroups][kPanelBlocks * P::kBlockBytes];
  const int64_t group_bytes = w.format->GroupBytes(w.columns);
  const int64_t blocks = w.columns / 32;
  for (int64_t row = row_begin; row < row_end; row += kPanelGroups * kRowGroup) {
    const int64_t groups = std::min(kPanelGroups, (row_end - row + kRowGroup - 1) / kRowGroup);
    for (int64_t first = 0; first < blocks; first += kPanelBlocks) {
      const int64_t count = std::min(kPanelBlocks, blocks - first);
      for (int64_t g = 0; g < groups; ++g) {
        P::Unpack(w.data + (row / kRowGroup + g) * group_bytes, first, count, panels[g]);
      }
      for (int64_t m = 0; m < x.rows; m += kRowsAtOnce) {
        for (int64_t g = 0; g < groups; ++g) {
          const int64_t n = row + g * kRowGroup;
          const Int8Tile tile{panels[g],  first,   count, &x, std::min(kRowGroup, row_end - n),
                              y.data + n, y.stride};
          RunTiles<P>(tile, m, std::min(m + kRowsAtOnce, x.rows));
        }
      }
    }
  }
}

template <class W>
HWY_INLINE void MultiplyInt8(const PackedMatrix& w, const Activations& x, int64_t row_begin, int64_t row_end,
                             MatrixView<float> y) {
  if (x.rows > kDirectRows) return MultiplyPanels<W>(w, x, row_begin, row_end, y);
  const int64_t group_bytes = w.format->GroupBytes(w.columns);
  for (int64_t row = row_begin; row < row_end; row += kRowGroup) {
    const Int8Tile tile{w.data + row / kRowGroup * group_bytes,
                        0,
                        w.columns / 32,
                        &x,
                        std::min(kRowGroup, row_end - row),
                        y.data + row,
                        y.stride};
    if (x.rows == 1) {
      RunTile<W, 1, 1>(tile, 0);
    } else {
      RunTiles<W>(tile, 0, x.rows);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#else  // the scalar target

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

template <class W>
void MultiplyInt8(const PackedMatrix& w, const Activations& x, int64_t row_begin, int64_t row_end,
                  MatrixView<float> y) {
  ScalarInt8Multiply(w, x, row_begin, row_end, y);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif  // HONE_X86_LANES
#endif
