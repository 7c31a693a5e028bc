#include "core/kernels/cpu/cpu_target.h"

#include <fmt/ranges.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cstdlib>
#if HWY_ARCH_X86
#include <cpuid.h>
#endif

namespace hone {
namespace {

// CPUID leaf 7, ECX bit 11: AVX512_VNNI. Whether the system saves the wide registers is Highway's question.
bool HasAvx512Vnni() {
#if HWY_ARCH_X86
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ecx & (1u << 11)) != 0;
#else
  return false;
#endif
}

std::string_view NameOf(int64_t target) {
#if HWY_ARCH_X86
  if (target == HWY_AVX3) return "avx512";
  if (target == HWY_AVX2) return "avx2";
#elif HWY_ARCH_ARM
  if (target == HWY_NEON) return "neon";
#endif
  return "scalar";
}

int64_t FallbackTarget() { return HWY_TARGETS & (HWY_SCALAR | HWY_EMU128); }

// The one that dispatch would choose: the lowest bit is the best.
int64_t BestTarget() {
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  return targets & ~(targets - 1);
}

void Apply(int64_t mask) {
  hwy::SetSupportedTargetsForTest(mask);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

Result<void> Force(std::string_view name, std::string_view where) {
  EnsureCpuTarget();
  hwy::SetSupportedTargetsForTest(0);
  const int64_t supported = (hwy::SupportedTargets() & HWY_TARGETS) | FallbackTarget();
  if (name.empty()) {
    Apply(0);
    return {};
  }
  for (int64_t rest = supported; rest != 0; rest &= rest - 1) {
    const int64_t target = rest & ~(rest - 1);
    if (NameOf(target) != name) continue;
    Apply(target);
    return {};
  }
  Apply(0);
  if (name == "avx512" || name == "avx2" || name == "neon" || name == "scalar") {
    return WrongUsage("{}: found {}, which this processor lacks, expected one of {}", where, name,
                      fmt::join(SupportedCpuTargets(), ", "));
  }
  return WrongUsage("{}: found \"{}\", expected one of {}", where, name,
                    fmt::join(SupportedCpuTargets(), ", "));
}

}  // namespace

void EnsureCpuTarget() {
  static const bool done = [] {
#if HWY_ARCH_X86
    if (!HasAvx512Vnni()) hwy::DisableTargets(HWY_AVX3);
#endif
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return true;
  }();
  (void)done;
}

Result<void> InitCpuTarget() {
  const char* wanted = std::getenv("HONE_CPU");
  EnsureCpuTarget();
  if (wanted == nullptr || *wanted == '\0') return {};
  return Force(wanted, "HONE_CPU");
}

Result<void> SetCpuTargetForTest(std::string_view name) { return Force(name, "CPU target"); }

std::string_view ActiveCpuTarget() {
  EnsureCpuTarget();
  return NameOf(BestTarget());
}

std::vector<std::string_view> SupportedCpuTargets() {
  EnsureCpuTarget();
  std::vector<std::string_view> names;
  const int64_t supported = (hwy::SupportedTargets() & HWY_TARGETS) | FallbackTarget();
  for (int64_t rest = supported; rest != 0; rest &= rest - 1)
    names.insert(names.begin(), NameOf(rest & ~(rest - 1)));
  return names;
}

}  // namespace hone
