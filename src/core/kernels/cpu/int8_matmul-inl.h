// Products with 8-bit activations, for any block format whose lanes are described by a Weights type:
//
//   kOffset       the code stands for code - kOffset (0 where codes are signed, see kSigned)
//   kSigned       codes are signed bytes (not under VNNI: there such formats add 128 and have kOffset 128)
//   kPieces       how many pieces of 4 products an int16 lane can add: 8 for 4-bit codes, 4 for 5, 2 for 6,
//                 1 for 8
//   kSubScales    integer scales for each 16 columns
//   kMinimum      see Minimum
//   kStreamBytes  bytes of a 32-column block, for the prefetch
//   Seek(group, block)
//   Piece(part, j)  codes of columns 4j .. 4j+3 of the part's rows
//   Scale(part), Min(part)
//   SubPair(part)   the sub-scales of both halves as int16
//   MinPair(part)   the minima of both halves as int16
//
// One order of sums for every M and tile: a result starts at 0 and takes block after block
//   sum = fma(float(dot), scale_w * scale_x, sum), then sum = fma(min, scale_x * sum(q), sum),
// dot being exact in int32, and then the same with the block's second codes where a row of the tile has them
// (a row that has none adds 0). So M = 1, few rows and panels give the same bits.
#if defined(HONE_CORE_KERNELS_CPU_INT8_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_INT8_MATMUL_INL_H_
#undef HONE_CORE_KERNELS_CPU_INT8_MATMUL_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_INT8_MATMUL_INL_H_
#endif

#include <algorithm>

#include "core/kernels/cpu/lanes-inl.h"
#include "core/kernels/cpu/packed_format.h"

#if HONE_LANES
HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

// A tile is some rows of activations times some vectors of weights ("parts"). Panels are multiplied two
// vectors at a time (NEON: the four of a group), which keeps the loads below the products; 4 rows fill the 16
// registers of AVX2, 8 rows the 32 of AVX-512.
constexpr int kTileRows = kLanes == 16 ? 8 : 4;
constexpr int kPanelParts = kParts < 2 ? 2 : kParts;
constexpr int64_t kPanelRows = kPanelParts * kLanes;
// Panels that are filled at once, so that activations are read from near, and blocks of columns in a panel.
constexpr int64_t kPanels = 32 / kPanelRows;
constexpr int64_t kPanelBlocks = 64;

// The unpacked form of kPanelRows weight rows, for weights that are multiplied with many activations.
template <class W>
struct Panel {
  static constexpr int kOffset = W::kOffset;
  static constexpr bool kSigned = W::kSigned;
  static constexpr int kPieces = W::kPieces;
  static constexpr bool kSubScales = W::kSubScales;
  static constexpr Minimum kMinimum = W::kMinimum;
  static constexpr int kStreamBytes = 0;
  static constexpr int kVector = 4 * kLanes;
  static constexpr int kRow = kPanelParts * kVector;
  static constexpr int kScaleAt = 8 * kRow;
  static constexpr int kMinAt = kScaleAt + kRow;
  static constexpr int kSubAt = kMinAt + (kMinimum == Minimum::kNone ? 0 : kRow);
  static constexpr int kMinPairAt = kSubAt + (kSubScales ? kRow : 0);
  static constexpr int kBlockBytes = kMinPairAt + (kMinimum == Minimum::kPerHalf ? kRow : 0);

  const std::byte* block = nullptr;

  HWY_INLINE void Seek(const std::byte* panel, int64_t b) { block = panel + b * kBlockBytes; }
  HWY_INLINE Ints Piece(int part, int j) const { return LoadInts(block + kRow * j + kVector * part); }
  HWY_INLINE Floats Scale(int part) const { return LoadFloats(block + kScaleAt + kVector * part); }
  HWY_INLINE Floats Min(int part) const { return LoadFloats(block + kMinAt + kVector * part); }
  HWY_INLINE Ints SubPair(int part) const { return LoadInts(block + kSubAt + kVector * part); }
  HWY_INLINE Ints MinPair(int part) const { return LoadInts(block + kMinPairAt + kVector * part); }

  // Fills the parts of one group, from `first_part` of the panel on.
  static HWY_INLINE void Unpack(const std::byte* group, int64_t first_block, int64_t blocks, int first_part,
                                std::byte* panel) {
    W w;
    for (int64_t b = 0; b < blocks; ++b) {
      w.Seek(group, first_block + b);
      PrefetchAhead<W::kStreamBytes>(w.Stream());
      std::byte* to = panel + b * kBlockBytes + kVector * first_part;
#pragma GCC unroll 4
      for (int part = 0; part < kParts; ++part, to += kVector) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) StoreInts(to + kRow * j, w.Piece(part, j));
        StoreFloats(to + kScaleAt, w.Scale(part));
        if constexpr (kMinimum != Minimum::kNone) StoreFloats(to + kMinAt, w.Min(part));
        if constexpr (kSubScales) StoreInts(to + kSubAt, w.SubPair(part));
        if constexpr (kMinimum == Minimum::kPerHalf) StoreInts(to + kMinPairAt, w.MinPair(part));
      }
    }
  }
};

// dot[part][m]: exact integer products of the block with the activation rows m of one group; `pieces` are
// theirs, `sums` point to the pair of sums of row 0.
#if HONE_BYTE_DOT

template <class W, int parts, int rows>
HWY_INLINE void BlockDots(const W& w, const std::byte* pieces, int64_t step, const std::byte* sums,
                          Ints (&dot)[parts][rows]) {
  Ints second[parts][rows];
#pragma GCC unroll 8
  for (int m = 0; m < rows; ++m) {
    Ints first_start = Repeat32(0), second_start = Repeat32(0);
    if constexpr (W::kOffset != 0) {
      const Ints pair = RepeatInt(sums + 4 * m);
      constexpr int kFactor = -W::kOffset & 0xFFFF;
      if constexpr (W::kSubScales) {
        first_start = MulPairs16(pair, Repeat32(kFactor));
        second_start = MulPairs16(pair, Repeat32(static_cast<int>(static_cast<unsigned>(kFactor) << 16)));
      } else {
        first_start = MulPairs16(pair, Repeat16(-W::kOffset));
      }
    }
#pragma GCC unroll 4
    for (int part = 0; part < parts; ++part) {
      dot[part][m] = first_start;
      second[part][m] = second_start;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const int j = W::kSubScales ? i : i / 2 + i % 2 * 4;
    Ints codes[parts];
#pragma GCC unroll 4
    for (int part = 0; part < parts; ++part) codes[part] = w.Piece(part, j);
#pragma GCC unroll 8
    for (int m = 0; m < rows; ++m) {
      const Ints x = RepeatInt(pieces + j * step + 4 * m);
#pragma GCC unroll 4
      for (int part = 0; part < parts; ++part) {
        Ints& sum = W::kSubScales && i >= 4 ? second[part][m] : dot[part][m];
        sum = ByteDot(sum, codes[part], x);
      }
    }
  }
  if constexpr (W::kSubScales) {
#pragma GCC unroll 4
    for (int part = 0; part < parts; ++part) {
      const Ints first_scale = LowOf(w.SubPair(part)), second_scale = HighOf(w.SubPair(part));
#pragma GCC unroll 8
      for (int m = 0; m < rows; ++m) {
        dot[part][m] = Add32(Mul32(dot[part][m], first_scale), Mul32(second[part][m], second_scale));
      }
    }
  }
}

#else

template <class W, int parts, int rows>
HWY_INLINE void BlockDots(const W& w, const std::byte* pieces, int64_t step, const std::byte* sums,
                          Ints (&dot)[parts][rows]) {
  constexpr int kStride = W::kPieces;
  Ints words[parts][rows];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const int j = W::kSubScales ? i : i / 2 + i % 2 * 4;
    Ints codes[parts];
    Ints magnitudes[parts];
#pragma GCC unroll 4
    for (int part = 0; part < parts; ++part) {
      codes[part] = w.Piece(part, j);
      if constexpr (W::kSigned) magnitudes[part] = Magnitude8(codes[part]);
    }
#pragma GCC unroll 4
    for (int m = 0; m < rows; ++m) {
      const Ints x = RepeatInt(pieces + j * step + 4 * m);
#pragma GCC unroll 4
      for (int part = 0; part < parts; ++part) {
        Ints product;
        if constexpr (W::kSigned) {
          // |w| <= 128 and |x| <= 127: a pair stays below 2^15.
          product = MulPairs8(magnitudes[part], TakeSign8(x, codes[part]));
        } else {
          product = MulPairs8(codes[part], x);
        }
        words[part][m] = i % kStride == 0 ? product : Add16(words[part][m], product);
        Pin(words[part][m]);
        if (i % kStride == kStride - 1) {
          Ints factor = Repeat16(1);
          if constexpr (W::kSubScales)
            factor = i < 4 ? LowTwice(w.SubPair(part)) : HighTwice(w.SubPair(part));
          const Ints wide = MulPairs16(words[part][m], factor);
          dot[part][m] = i < kStride ? wide : Add32(dot[part][m], wide);
          Pin(dot[part][m]);
        }
      }
    }
  }
  if constexpr (W::kOffset != 0) {
#pragma GCC unroll 4
    for (int m = 0; m < rows; ++m) {
      // -offset * sum(x), for each half where they have scales of their own.
      const Ints pair = RepeatInt(sums + 4 * m);
      Ints correction = MulPairs16(pair, Repeat16(-W::kOffset));
#pragma GCC unroll 4
      for (int part = 0; part < parts; ++part) {
        if constexpr (W::kSubScales) {
          constexpr int kShift = __builtin_ctz(static_cast<unsigned>(W::kOffset));
          static_assert(W::kOffset == 1 << kShift);
          correction = Sub32(Repeat32(0), ShiftLeft<kShift>(MulPairs16(w.SubPair(part), pair)));
        }
        dot[part][m] = Add32(dot[part][m], correction);
      }
    }
  }
}

#endif

// Whether a row's scale is not 0; `scales` are those of `rows` rows, none of them negative.
template <int rows>
HWY_INLINE bool AnyScale(const std::byte* scales) {
  uint32_t bits = 0;
#pragma GCC unroll 8
  for (int m = 0; m < rows; ++m) bits |= LoadAs<uint32_t>(scales + 4 * m);
  return bits != 0;
}

// Adds a block to sum[part][m]; x are the block's codes of `rows` activation rows.
template <class W, int parts, int rows>
HWY_INLINE void AddBlock(const W& w, const std::byte* x, int64_t step, Floats (&sum)[parts][rows]) {
  Ints dot[parts][rows];
  BlockDots<W, parts, rows>(w, x, step, x + 10 * step, dot);
#pragma GCC unroll 4
  for (int part = 0; part < parts; ++part) {
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

// Adds `blocks` blocks to sum[part][m] for `rows` activation rows that start at row `first` of a group of
// `group_rows`; `to_second` leads from first codes to second ones.
template <class W, int parts, int rows>
HWY_INLINE void AddBlocks(const std::byte* weights, int64_t first_block, int64_t blocks, const std::byte* x,
                          int64_t to_second, int64_t group_rows, int64_t first, Floats (&sum)[parts][rows]) {
  W w;
  const int64_t step = 4 * group_rows;
  x += first_block * group_rows * kInt8BlockBytes + 4 * first;
  for (int64_t b = 0; b < blocks; ++b, x += group_rows * kInt8BlockBytes) {
    w.Seek(weights, b);
    if constexpr (W::kStreamBytes > 0) PrefetchAhead<W::kStreamBytes>(w.Stream());
    const std::byte* codes = x;
    do {          // one piece of code for both, which keeps it small
      HWY_FENCE;  // the weights' codes are loaded where they are used, not all before the loop
      AddBlock<W, parts, rows>(w, codes, step, sum);
      codes += to_second;
    } while (codes == x + to_second && AnyScale<rows>(codes + 8 * step));
  }
}

// y[m][0 .. valid) of the rows of a tile.
template <int parts, int rows>
HWY_INLINE void StoreTile(const Floats (&sum)[parts][rows], int64_t valid, float* y, int64_t stride) {
#pragma GCC unroll 12
  for (int m = 0; m < rows; ++m) {
    if (valid >= parts * kLanes) {
#pragma GCC unroll 8
      for (int part = 0; part < parts; ++part) StoreFloats(y + m * stride + kLanes * part, sum[part][m]);
    } else {
      float all[parts * kLanes];
#pragma GCC unroll 8
      for (int part = 0; part < parts; ++part) StoreFloats(all + kLanes * part, sum[part][m]);
      std::copy(all, all + valid, y + m * stride);
    }
  }
}

// Zeros where `first`, else what StoreTile left.
template <int parts, int rows>
HWY_INLINE void StartTile(bool first, const float* y, int64_t stride, int64_t valid,
                          Floats (&sum)[parts][rows]) {
#pragma GCC unroll 12
  for (int m = 0; m < rows; ++m) {
    float all[parts * kLanes];
    const float* from = y + m * stride;
    if (!first && valid < parts * kLanes) {
      std::fill(all, all + parts * kLanes, 0.0f);
      std::copy(from, from + valid, all);
      from = all;
    }
#pragma GCC unroll 8
    for (int part = 0; part < parts; ++part)
      sum[part][m] = first ? Repeat(0.0f) : LoadFloats(from + kLanes * part);
  }
}

// What tiles work on: the weights of some rows, a range of columns, all activations.
struct Int8Tiles {
  const std::byte* weights;
  int64_t first_block;  // the columns' first block; the weights begin there, the activations do not
  int64_t blocks;
  const Activations* x;
  int64_t valid;  // weight rows that exist
  float* y;       // of the first weight row
  int64_t stride;
};

// `fixed_group_rows` is the number of rows in the activations' group where it is known, else 0.
template <class W, int parts, int rows, int fixed_group_rows>
HWY_INLINE void RunTile(const Int8Tiles& tiles, int64_t row) {
  const int64_t group = row / kActivationGroup * kActivationGroup;
  const int64_t left = std::min(kActivationGroup, tiles.x->rows - group);
  const int64_t group_rows = fixed_group_rows > 0 ? fixed_group_rows : left;
  const std::byte* x = tiles.x->data + group * (tiles.x->columns / 32) * kInt8BlockBytes;
  float* y = tiles.y + row * tiles.stride;
  Floats sum[parts][rows];
  StartTile(tiles.first_block == 0, y, tiles.stride, tiles.valid, sum);
  AddBlocks<W, parts, rows>(tiles.weights, tiles.first_block, tiles.blocks, x,
                            ToSecondCodes(tiles.x->rows, tiles.x->columns), group_rows, row - group, sum);
  StoreTile(sum, tiles.valid, y, tiles.stride);
}

// Activation rows [begin, end), which begin at a multiple of the group and end at one or at the last row.
template <class W, int parts>
HWY_NOINLINE void RunTiles(const Int8Tiles& tiles, int64_t begin, int64_t end) {
  int64_t m = begin;
  for (; m + kActivationGroup <= end; m += kActivationGroup) {
    for (int64_t i = 0; i < kActivationGroup; i += kTileRows) {
      RunTile<W, parts, kTileRows, kActivationGroup>(tiles, m + i);
    }
  }
  for (; m + 4 <= end; m += 4) RunTile<W, parts, 4, 0>(tiles, m);
  switch (end - m) {
    case 3:
      return RunTile<W, parts, 3, 0>(tiles, m);
    case 2:
      return RunTile<W, parts, 2, 0>(tiles, m);
    case 1:
      return RunTile<W, parts, 1, 0>(tiles, m);
    default:
      return;
  }
}

// Fills the panel of the rows [row, row + kPanelRows), of which those from row_end on may be missing groups.
template <class W>
HWY_INLINE void FillPanel(const PackedMatrix& w, int64_t row, int64_t row_end, int64_t first, int64_t blocks,
                          std::byte* panel) {
  for (int part = 0; part < kPanelParts; part += kParts) {
    // A missing group is replaced by the one before: its results are not stored.
    const int64_t at = row + part * kLanes < row_end ? row + part * kLanes : row;
    Panel<W>::Unpack(w.data + at / kRowGroup * w.format->GroupBytes(w.columns), first, blocks, part, panel);
  }
}

template <class W>
HWY_INLINE void MultiplyPanels(const MatmulTask& task) {
  using P = Panel<W>;
  alignas(64) std::byte panels[kPanels][kPanelBlocks * P::kBlockBytes];
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
  const int64_t blocks = w.columns / 32;
  for (int64_t row = row_begin; row < row_end; row += kPanels * kPanelRows) {
    const int64_t count = std::min(kPanels, (row_end - row + kPanelRows - 1) / kPanelRows);
    for (int64_t first = 0; first < blocks; first += kPanelBlocks) {
      const int64_t some = std::min(kPanelBlocks, blocks - first);
      for (int64_t i = 0; i < count; ++i)
        FillPanel<W>(w, row + i * kPanelRows, row_end, first, some, panels[i]);
      for (int64_t m = 0; m < x.rows; m += kActivationGroup) {
        for (int64_t i = 0; i < count; ++i) {
          const int64_t n = row + i * kPanelRows;
          const int64_t valid = std::min(kPanelRows, row_end - n);
          const Int8Tiles tiles{panels[i], first, some, &x, valid, y.data + n, y.stride};
          RunTiles<P, kPanelParts>(tiles, m, std::min(m + kActivationGroup, x.rows));
        }
      }
    }
  }
}

template <class W>
HWY_INLINE void MultiplyInt8(const MatmulTask& task) {
  if (task.kernel == MatmulKernel::kPanels) return MultiplyPanels<W>(task);
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
  const int64_t group_bytes = w.format->GroupBytes(w.columns);
  for (int64_t row = row_begin; row < row_end; row += kRowGroup) {
    const std::byte* group = w.data + row / kRowGroup * group_bytes;
    const Int8Tiles tiles{group,        0,       w.columns / 32, &x, std::min(kRowGroup, row_end - row),
                          y.data + row, y.stride};
    if (x.rows == 1) {
      RunTile<W, kParts, 1, 1>(tiles, 0);
    } else if (kernel == MatmulKernel::kFlat) {
      RunTiles<W, kParts>(tiles, 0, x.rows);
    } else {
      for (int64_t m = 0; m < x.rows; ++m) RunTiles<W, kParts>(tiles, m, m + 1);
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
void MultiplyInt8(const MatmulTask& task) {
  ScalarInt8Multiply(task);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif  // HONE_LANES
#endif
