#include "core/tensor/dtype.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace hone {
namespace {

constexpr std::array kTypes = {
    DTypeInfo{DType::kF32, "F32", 0, 1, 4},          DTypeInfo{DType::kF16, "F16", 1, 1, 2},
    DTypeInfo{DType::kBF16, "BF16", 30, 1, 2},       DTypeInfo{DType::kF64, "F64", 28, 1, 8},
    DTypeInfo{DType::kI8, "I8", 24, 1, 1},           DTypeInfo{DType::kI16, "I16", 25, 1, 2},
    DTypeInfo{DType::kI32, "I32", 26, 1, 4},         DTypeInfo{DType::kI64, "I64", 27, 1, 8},
    DTypeInfo{DType::kQ4_0, "Q4_0", 2, 32, 18},      DTypeInfo{DType::kQ4_1, "Q4_1", 3, 32, 20},
    DTypeInfo{DType::kQ5_0, "Q5_0", 6, 32, 22},      DTypeInfo{DType::kQ5_1, "Q5_1", 7, 32, 24},
    DTypeInfo{DType::kQ8_0, "Q8_0", 8, 32, 34},      DTypeInfo{DType::kQ2_K, "Q2_K", 10, 256, 84},
    DTypeInfo{DType::kQ3_K, "Q3_K", 11, 256, 110},   DTypeInfo{DType::kQ4_K, "Q4_K", 12, 256, 144},
    DTypeInfo{DType::kQ5_K, "Q5_K", 13, 256, 176},   DTypeInfo{DType::kQ6_K, "Q6_K", 14, 256, 210},
    DTypeInfo{DType::kIQ4_NL, "IQ4_NL", 20, 32, 18}, DTypeInfo{DType::kIQ4_XS, "IQ4_XS", 23, 256, 136},
    DTypeInfo{DType::kMixed2, "MIXED2", -1, 16, 0},
};

}  // namespace

const DTypeInfo& Info(DType type) { return kTypes[static_cast<size_t>(type)]; }

std::optional<DType> DTypeFromGgml(uint32_t ggml_id) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const DTypeInfo& info) {
    return info.ggml_id >= 0 && static_cast<uint32_t>(info.ggml_id) == ggml_id;
  });
  if (found == kTypes.end()) return std::nullopt;
  return found->type;
}

std::optional<DType> DTypeFromName(std::string_view name) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const DTypeInfo& info) {
    return std::equal(info.name.begin(), info.name.end(), name.begin(), name.end(),
                      [](char a, char b) { return std::toupper(a) == std::toupper(b); });
  });
  if (found == kTypes.end()) return std::nullopt;
  return found->type;
}

}  // namespace hone
