// The table of weight formats.
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
  if (target == "neon") return "smull";
  return target == "avx2" ? "maddubs" : "scalar";
}

}  // namespace hone
