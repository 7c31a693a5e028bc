// Which instruction set the kernels run with. The best one is chosen by CPUID; the environment variable
// HONE_CPU (scalar, avx2, avx512 or neon) forces one. AVX-512 here means AVX-512 with VNNI: a processor
// without VNNI uses AVX2.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

// Reads HONE_CPU and fixes the target. Call it before other threads run kernels; without a call the kernels
// choose by CPUID alone. Fails with kUsage where HONE_CPU names no target or one that this processor lacks.
Result<void> InitCpuTarget();

// "scalar", "avx2", "avx512" or "neon".
std::string_view ActiveCpuTarget();
// The targets that this build and this processor have, best last.
std::vector<std::string_view> SupportedCpuTargets();
// Forces a target, as HONE_CPU does; "" returns to the best one. Not while kernels run.
Result<void> SetCpuTargetForTest(std::string_view name);

// Hides AVX-512 without VNNI from Highway's dispatch. Every kernel that needs VNNI under HWY_AVX3 calls it
// first; cheap.
void EnsureCpuTarget();

}  // namespace hone
