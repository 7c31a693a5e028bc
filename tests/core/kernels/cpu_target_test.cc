#include "core/kernels/cpu/cpu_target.h"

#include <gtest/gtest.h>
#include <hwy/detect_compiler_arch.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "core/kernels/matmul.h"

namespace hone {
namespace {

TEST(CpuTarget, ForcesEachSupportedTarget) {
  for (std::string_view name : SupportedCpuTargets()) {
    ASSERT_TRUE(SetCpuTargetForTest(name));
    EXPECT_EQ(ActiveCpuTarget(), name);
  }
  ASSERT_TRUE(SetCpuTargetForTest(""));
  EXPECT_EQ(ActiveCpuTarget(), SupportedCpuTargets().back());
}

TEST(CpuTarget, ReadsTheEnvironment) {
  setenv("HONE_CPU", "scalar", 1);
  ASSERT_TRUE(InitCpuTarget());
  EXPECT_EQ(ActiveCpuTarget(), "scalar");
  EXPECT_EQ(ActiveInt8Kernel(), "scalar");
  setenv("HONE_CPU", "sse9", 1);
  const Result<void> result = InitCpuTarget();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kUsage);
  EXPECT_NE(result.error().message.find("HONE_CPU: found \"sse9\""), std::string::npos)
      << result.error().message;
  unsetenv("HONE_CPU");
  ASSERT_TRUE(SetCpuTargetForTest(""));
}

TEST(CpuTarget, RefusesATargetThatTheProcessorLacks) {
  const auto supported = SupportedCpuTargets();
  if (std::find(supported.begin(), supported.end(), "avx512") != supported.end())
    GTEST_SKIP() << "all are there";
  const Result<void> result = SetCpuTargetForTest("avx512");
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("this processor lacks"), std::string::npos);
}

// The processor's flags, as the kernel of the system lists them.
TEST(CpuTarget, MultipliesBytesWithTheInstructionThatTheProcessorHas) {
#if HWY_ARCH_ARM
  EXPECT_EQ(ActiveInt8Kernel(), "smull");
  return;
#endif
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && line.rfind("flags", 0) != 0) {
  }
  if (line.empty()) GTEST_SKIP() << "no processor flags";
  line += ' ';
  const bool vnni =
      line.find(" avx512_vnni ") != std::string::npos && line.find(" avx512bw ") != std::string::npos;
  const bool avx2 = line.find(" avx2 ") != std::string::npos && line.find(" fma ") != std::string::npos;
  ASSERT_TRUE(SetCpuTargetForTest(""));
  EXPECT_EQ(ActiveInt8Kernel(), vnni ? "vpdpbusd" : avx2 ? "maddubs" : "scalar");
}

}  // namespace
}  // namespace hone
