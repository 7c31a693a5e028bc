// The table of weight formats, and the size of a task.
#include <algorithm>
#include <array>

#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/cpu/packed_format.h"
#include "core/kernels/matmul.h"

namespace hone {

std::span<const WeightFormat* const> WeightFormats() {
  static const std::array formats = {&F32Format(),  &F16Format(),    &BF16Format(),  &Q8_0Format(),
                                     &Q4_0Format(), &Q4_1Format(),   &Q5_0Format(),  &Q5_1Format(),
                                     &Q2_KFormat(), &Q3_KFormat(),   &Q4_KFormat(),  &Q5_KFormat(),
                                     &Q6_KFormat(), &IQ4_NLFormat(), &IQ4_XSFormat()};
  return formats;
}

const WeightFormat* FindWeightFormat(DType type) {
  for (const WeightFormat* format : WeightFormats()) {
    if (format->source() == type) return format;
  }
  return nullptr;
}

std::string_view ActiveInt8Kernel() {
  const std::string_view target = ActiveCpuTarget();
  if (target == "avx512") return "vpdpbusd";
  return target == "avx2" ? "maddubs" : "scalar";
}

int64_t RowsPerTask(const PackedMatrix& w, int64_t activation_rows) {
  // A core reads some 10 GB/s and multiplies some 100 G products/s: a task is 10 us of reading at least, and
  // at most about 400 us of work. Panels of many activations take 32 rows at once.
  constexpr int64_t kBytes = 128 << 10;
  constexpr int64_t kProducts = 16'000'000;
  constexpr int64_t kMostProducts = 40'000'000;
  const int64_t by_bytes = kBytes / std::max<int64_t>(1, w.format->GroupBytes(w.columns));
  const int64_t group_products = std::max<int64_t>(1, activation_rows * w.columns * kRowGroup);
  const int64_t groups = std::max<int64_t>(1, std::min(by_bytes, kProducts / group_products));
  if (groups > 1) return groups / 2 * 2 * kRowGroup;
  return 2 * group_products <= kMostProducts && activation_rows > 1 ? 2 * kRowGroup : kRowGroup;
}

}  // namespace hone
