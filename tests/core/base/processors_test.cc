#include "core/base/processors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "core/base/compute_share.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

// A root folder with the given files, removed at the end.
class FakeRoot {
 public:
  FakeRoot() {
    std::string name = (fs::temp_directory_path() / "hone_root_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~FakeRoot() { fs::remove_all(path_); }
  FakeRoot& With(const std::string& file, const std::string& text) {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text << "\n";
    return *this;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

TEST(ControlGroupQuota, ReadsVersion2) {
  FakeRoot root;
  root.With("proc/self/cgroup", "0::/box").With("sys/fs/cgroup/box/cpu.max", "765000 100000");
  EXPECT_DOUBLE_EQ(ControlGroupQuota(root.path()).value(), 7.65);
}

TEST(ControlGroupQuota, TakesTheLeastOfAllParents) {
  FakeRoot root;
  root.With("proc/self/cgroup", "0::/a/b")
      .With("sys/fs/cgroup/a/b/cpu.max", "max 100000")
      .With("sys/fs/cgroup/a/cpu.max", "300000 100000")
      .With("sys/fs/cgroup/cpu.max", "800000 100000");
  EXPECT_DOUBLE_EQ(ControlGroupQuota(root.path()).value(), 3.0);
}

TEST(ControlGroupQuota, ReadsVersion1AndItsUnlimitedMark) {
  FakeRoot root;
  root.With("proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/docker/ab")
      .With("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "250000")
      .With("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000")
      .With("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1")
      .With("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
  EXPECT_DOUBLE_EQ(ControlGroupQuota(root.path()).value(), 2.5);
}

TEST(ControlGroupQuota, FallsBackToTheMountPointWhereTheHostsPathIsNotVisible) {
  FakeRoot root;
  root.With("proc/self/cgroup", "0::/system.slice/docker-123.scope")
      .With("sys/fs/cgroup/cpu.max", "150000 100000");
  EXPECT_DOUBLE_EQ(ControlGroupQuota(root.path()).value(), 1.5);
}

TEST(ControlGroupQuota, IsAbsentWithoutLimit) {
  FakeRoot root;
  EXPECT_FALSE(ControlGroupQuota(root.path()));
  root.With("proc/self/cgroup", "0::/").With("sys/fs/cgroup/cpu.max", "max 100000");
  EXPECT_FALSE(ControlGroupQuota(root.path()));
}

TEST(ThreadLimit, RoundsTheQuotaDownAndIsAtLeastOne) {
  const std::vector<int> sixteen = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  FakeRoot root;
  root.With("proc/self/cgroup", "0::/").With("sys/fs/cgroup/cpu.max", "765000 100000");
  EXPECT_EQ(ThreadLimit(sixteen, root.path()), 7);
  root.With("sys/fs/cgroup/cpu.max", "50000 100000");
  EXPECT_EQ(ThreadLimit(sixteen, root.path()), 1);
}

TEST(ThreadLimit, CountsCoresNotHardwareThreads) {
  FakeRoot root;
  for (int i = 0; i < 8; ++i) {
    root.With("sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/thread_siblings_list",
              std::to_string(i % 4) + "," + std::to_string(i % 4 + 4));
  }
  const std::vector<int> all = {0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(OneProcessorPerCore(all, root.path()), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(ThreadLimit(all, root.path()), 4);
  const std::vector<int> three = {1, 5, 6};
  EXPECT_EQ(ThreadLimit(three, root.path()), 2);
}

TEST(DefaultThreads, IsWithinTheAffinityMask) {
  EXPECT_GE(DefaultThreads(), 1);
  EXPECT_LE(DefaultThreads(), static_cast<int>(AllowedProcessors().size()));
}

}  // namespace
}  // namespace hone
