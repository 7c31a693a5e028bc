#include "core/base/processors.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

#include "core/base/compute_share.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> FirstLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<double> Number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str()) return std::nullopt;
  return value;
}

void TakeLess(std::optional<double>& least, double value) { least = least ? std::min(*least, value) : value; }

// "QUOTA PERIOD" or "max PERIOD"
std::optional<double> QuotaVersion2(const fs::path& folder) {
  const auto line = FirstLine(folder / "cpu.max");
  if (!line) return std::nullopt;
  const size_t space = line->find(' ');
  const auto quota = Number(*line);
  const auto period = space == std::string::npos ? 100000.0 : Number(line->substr(space));
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota / *period;
}

std::optional<double> QuotaVersion1(const fs::path& folder) {
  const auto quota = Number(FirstLine(folder / "cpu.cfs_quota_us").value_or(""));
  const auto period = Number(FirstLine(folder / "cpu.cfs_period_us").value_or(""));
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;  // -1: no limit
  return *quota / *period;
}

// The group's folder and its parents, up to the mount point. A container without its own control group
// namespace sees the host's path, which does not exist under its mount: then only the mount point counts.
template <class Read>
void TakeLeastOfParents(const fs::path& mount, const std::string& group, Read read,
                        std::optional<double>& least) {
  for (fs::path folder = group;; folder = folder.parent_path()) {
    if (const auto quota = read(mount / folder.relative_path())) TakeLess(least, *quota);
    if (folder.relative_path().empty()) return;
  }
}

}  // namespace

std::vector<int> AllowedProcessors() {
  std::vector<int> processors;
  for (int capacity = CPU_SETSIZE; capacity <= (1 << 16); capacity *= 2) {
    const size_t bytes = CPU_ALLOC_SIZE(capacity);
    cpu_set_t* mask = CPU_ALLOC(capacity);
    const bool read = sched_getaffinity(0, bytes, mask) == 0;
    for (int i = 0; read && i < capacity; ++i) {
      if (CPU_ISSET_S(i, bytes, mask)) processors.push_back(i);
    }
    CPU_FREE(mask);
    if (read) break;
  }
  if (processors.empty()) processors.push_back(0);
  return processors;
}

std::optional<double> ControlGroupQuota(const fs::path& root) {
  const fs::path mounts = root / "sys/fs/cgroup";
  std::optional<double> least;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      TakeLeastOfParents(mounts, group, QuotaVersion2, least);
      TakeLeastOfParents(mounts / "unified", group, QuotaVersion2, least);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      TakeLeastOfParents(mounts / controllers, group, QuotaVersion1, least);
      TakeLeastOfParents(mounts / "cpu", group, QuotaVersion1, least);
    }
  }
  return least;
}

std::vector<int> OneProcessorPerCore(std::span<const int> processors, const fs::path& root) {
  std::vector<int> chosen;
  std::set<std::string> cores;
  for (const int processor : processors) {
    const fs::path topology = root / ("sys/devices/system/cpu/cpu" + std::to_string(processor)) / "topology";
    const auto siblings = FirstLine(topology / "thread_siblings_list");
    if (!siblings || cores.insert(*siblings).second) chosen.push_back(processor);
  }
  return chosen;
}

int ThreadLimit(std::span<const int> processors, const fs::path& root) {
  double limit = static_cast<double>(OneProcessorPerCore(processors, root).size());
  if (const auto quota = ControlGroupQuota(root)) limit = std::min(limit, *quota);
  return std::max(1, static_cast<int>(limit));
}

int DefaultThreads() { return ThreadLimit(AllowedProcessors()); }

}  // namespace hone
