#include "core/kernels/matmul_table.h"

#include <algorithm>

namespace hone {
namespace {

// Whether the two differ in nothing but the rows of activations.
bool SameMatrix(const MatmulKey& a, MatmulKey b) {
  b.activation_rows = a.activation_rows;
  return a == b;
}

// Some 0.3 ms of a core that reads 10 GB/s and multiplies 60 G pairs a second.
int64_t BuiltInRowsPerTask(const MatmulKey& key) {
  constexpr int64_t kBytes = 3 << 20;
  constexpr int64_t kProducts = 16'000'000;
  const WeightFormat* format = FindWeightFormat(key.format);
  // A format that belongs to one matrix is not in the table; three bits a weight.
  const int64_t group_bytes =
      format == nullptr ? 6 * key.columns : std::max<int64_t>(1, format->GroupBytes(key.columns));
  const int64_t group_products = std::max<int64_t>(1, key.activation_rows * key.columns * kRowGroup);
  return std::max<int64_t>(1, std::min(kBytes / group_bytes, kProducts / group_products)) * kRowGroup;
}

}  // namespace

void MatmulTable::Set(const MatmulKey& key, const MatmulChoice& choice) {
  const auto at = std::lower_bound(cells_.begin(), cells_.end(), key,
                                   [](const MatmulCell& cell, const MatmulKey& k) { return cell.key < k; });
  if (at != cells_.end() && at->key == key) {
    at->choice = choice;
  } else {
    cells_.insert(at, {key, choice});
  }
}

MatmulChoice MatmulTable::Choose(const MatmulKey& key) const {
  const auto at = std::lower_bound(cells_.begin(), cells_.end(), key,
                                   [](const MatmulCell& cell, const MatmulKey& k) { return cell.key < k; });
  if (at != cells_.end() && SameMatrix(at->key, key)) return at->choice;
  if (at != cells_.begin() && SameMatrix(std::prev(at)->key, key)) return std::prev(at)->choice;
  return BuiltInMatmulChoice(key);
}

MatmulChoice BuiltInMatmulChoice(const MatmulKey& key) {
  constexpr int64_t kFlatRows = 32;
  // Numbers that stand alone need no unpacking that a panel would save.
  const bool plain = Info(key.format).elements == 1;
  MatmulKernel kernel = MatmulKernel::kPanels;
  if (key.activation_rows == 1) {
    kernel = MatmulKernel::kMatvec;
  } else if (plain || key.activation_rows <= kFlatRows) {
    kernel = MatmulKernel::kFlat;
  }
  return {kernel, BuiltInRowsPerTask(key)};
}

void CutProducts(std::span<const int64_t> rows, std::span<const int64_t> most, int threads,
                 std::vector<MatmulCut>& cuts) {
  cuts.clear();
  int64_t left = 0;
  for (const int64_t count : rows) left += count;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (int64_t begin = 0; begin < rows[i];) {
      const int64_t half_share = left / (2 * threads) / kRowGroup * kRowGroup;
      const int64_t size = std::clamp(half_share, kRowGroup, std::max(kRowGroup, most[i]));
      const int64_t end = std::min(rows[i], begin + size);
      cuts.push_back({i, begin, end});
      left -= end - begin;
      begin = end;
    }
  }
}

}  // namespace hone
