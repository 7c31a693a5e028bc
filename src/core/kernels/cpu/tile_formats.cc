// The table of tile formats, by number.
#include "core/kernels/cpu/tile_kernels.h"

namespace hone {
namespace attention {

const TileFormatRow& RowOf(TileFormat format) {
  static constexpr const TileFormatRow* kRows[kTileFormats] = {&kTileF32, &kTileF16};
  return *kRows[static_cast<size_t>(format)];
}

}  // namespace attention

using attention::RowOf;

std::string_view TileFormatName(TileFormat format) { return RowOf(format).name; }

int64_t TileBytes(TileFormat format, int64_t head_dim) { return RowOf(format).bytes(head_dim); }

void WriteEntry(TileFormat format, int64_t head_dim, int entry, const float* key, const float* value,
                std::byte* tile) {
  RowOf(format).write(entry, {key, 1, head_dim}, {value, 1, head_dim}, tile);
}

void WriteEntries(TileFormat format, int first_entry, MatrixView<const float> keys,
                  MatrixView<const float> values, std::byte* tile) {
  RowOf(format).write(first_entry, keys, values, tile);
}

void ReadEntry(TileFormat format, int64_t head_dim, int entry, const std::byte* tile, float* key,
               float* value) {
  RowOf(format).read(head_dim, entry, tile, key, value);
}

}  // namespace hone
