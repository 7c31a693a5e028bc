#include "language/quantization/gptq.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "core/kernels/quantize/block_grid.h"
#include "core/kernels/quantize/quantize.h"

namespace hone {
namespace {

constexpr int64_t kTaskRows = 16;
constexpr int64_t kBlockColumns = 32;

double Dot(const float* a, const float* b, int64_t count) {
  double sums[4] = {0, 0, 0, 0};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int k = 0; k < 4; ++k) sums[k] += static_cast<double>(a[i + k]) * static_cast<double>(b[i + k]);
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void Damp(std::vector<float>& h, int64_t n, double damping) {
  double trace = 0;
  for (int64_t i = 0; i < n; ++i) trace += static_cast<double>(h[static_cast<size_t>(i * n + i)]);
  const double mean = trace > 0 ? trace / static_cast<double>(n) : 1.0;
  for (int64_t i = 0; i < n; ++i) {
    float& diagonal = h[static_cast<size_t>(i * n + i)];
    if (diagonal == 0.0f) diagonal = static_cast<float>(mean);
    diagonal += static_cast<float>(damping * mean);
  }
}

// h becomes U with h = U U^T, from the last columns to the first, kBlockColumns at a time; false where it is
// not positive definite.
bool FactorUpper(ComputeShare& share, std::vector<float>& h, int64_t n) {
  const auto row = [&](int64_t i) { return h.data() + i * n; };
  const auto for_rows = [&](int64_t rows, auto body) {
    share.ParallelFor((rows + kTaskRows - 1) / kTaskRows, [&](int64_t task) {
      for (int64_t i = task * kTaskRows; i < std::min(rows, (task + 1) * kTaskRows); ++i) body(i);
    });
  };
  for (int64_t end = n; end > 0; end -= std::min(end, kBlockColumns)) {
    const int64_t begin = std::max<int64_t>(0, end - kBlockColumns);
    // What the columns after the block take from those in it.
    for_rows(end, [&](int64_t i) {
      for (int64_t j = std::max(i, begin); j < end; ++j)
        row(i)[j] -= static_cast<float>(Dot(row(i) + end, row(j) + end, n - end));
    });
    const auto solve = [&](int64_t i, int64_t j) {
      const double left = static_cast<double>(row(i)[j]) - Dot(row(i) + j + 1, row(j) + j + 1, end - j - 1);
      row(i)[j] = static_cast<float>(left / static_cast<double>(row(j)[j]));
    };
    for (int64_t j = end - 1; j >= begin; --j) {
      const double square = static_cast<double>(row(j)[j]) - Dot(row(j) + j + 1, row(j) + j + 1, end - j - 1);
      if (!(square > 0)) return false;
      row(j)[j] = static_cast<float>(std::sqrt(square));
      for (int64_t i = begin; i < j; ++i) solve(i, j);
    }
    for_rows(begin, [&](int64_t i) {
      for (int64_t j = end - 1; j >= begin; --j) solve(i, j);
    });
  }
  return true;
}

// Row i of U^-1: r_ik = (delta_ik - sum_{l < k} r_il u_lk) / u_kk.
void InvertRow(const std::vector<float>& u, int64_t n, int64_t i, std::vector<float>& inverse) {
  std::vector<double> sums(static_cast<size_t>(n), 0.0);
  for (int64_t k = i; k < n; ++k) {
    const float* row = u.data() + k * n;
    const double value = ((k == i ? 1.0 : 0.0) - sums[static_cast<size_t>(k)]) / static_cast<double>(row[k]);
    inverse[static_cast<size_t>(i * n + k)] = static_cast<float>(value);
    for (int64_t l = k + 1; l < n; ++l) sums[static_cast<size_t>(l)] += value * static_cast<double>(row[l]);
  }
}

std::vector<float> InvertUpper(ComputeShare& share, const std::vector<float>& u, int64_t n) {
  std::vector<float> inverse(static_cast<size_t>(n * n), 0.0f);
  share.ParallelFor((n + kTaskRows - 1) / kTaskRows, [&](int64_t task) {
    for (int64_t i = task * kTaskRows; i < std::min(n, (task + 1) * kTaskRows); ++i)
      InvertRow(u, n, i, inverse);
  });
  return inverse;
}

}  // namespace

Result<std::vector<float>> InverseFactor(ComputeShare& share, std::vector<float> moments, int64_t columns,
                                         double damping) {
  Damp(moments, columns, damping);
  if (!FactorUpper(share, moments, columns))
    return Failed("gptq: second moments of {} columns are not positive definite", columns);
  return InvertUpper(share, moments, columns);
}

void QuantizeRowsGptq(DType type, const float* x, int64_t rows, int64_t columns,
                      std::span<const float> importance, std::span<const float> inverse_factor,
                      std::byte* out) {
  const DTypeInfo& info = Info(type);
  const int64_t block = info.elements;
  std::vector<float> w(x, x + rows * columns);
  std::vector<float> current(static_cast<size_t>(rows * block));
  std::vector<std::byte> packed(static_cast<size_t>(rows * info.bytes));
  std::vector<BlockGrid> grids(static_cast<size_t>(rows));
  std::vector<uint8_t> codes(static_cast<size_t>(rows * block));
  for (int64_t begin = 0; begin < columns; begin += block) {
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(w.data() + r * columns + begin, block, current.data() + r * block);
    QuantizeRows(type, current.data(), rows, block, importance.empty() ? nullptr : importance.data() + begin,
                 Rounding::kSearch, packed.data());
    for (int64_t r = 0; r < rows; ++r)
      ReadGrid(type, packed.data() + r * info.bytes, grids[static_cast<size_t>(r)]);
    for (int64_t j = begin; j < begin + block; ++j) {
      const float* factor = inverse_factor.data() + j * columns;
      for (int64_t r = 0; r < rows; ++r) {
        float* row = w.data() + r * columns;
        const BlockGrid::Choice choice =
            grids[static_cast<size_t>(r)].Nearest(static_cast<int>(j - begin), row[j]);
        codes[static_cast<size_t>(r * block + j - begin)] = choice.code;
        const float error = (row[j] - choice.value) / factor[j];
        for (int64_t k = j + 1; k < columns; ++k) row[k] -= error * factor[k];
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      std::byte* at = packed.data() + r * info.bytes;
      WriteCodes(type, std::span(codes).subspan(static_cast<size_t>(r * block), static_cast<size_t>(block)),
                 at);
      std::memcpy(out + r * RowBytes(type, columns) + begin / block * info.bytes, at,
                  static_cast<size_t>(info.bytes));
    }
  }
}

}  // namespace hone
