// How many processors this process may really use: what the scheduler allows, what the container pays for,
// and how many of them are cores of their own.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace hone {

// Numbers of the processors in the calling thread's affinity mask, rising; at least one.
std::vector<int> AllowedProcessors();

// Processors that the control group grants: quota / period, the least over the group and its parents, from
// version 2 (cpu.max) and version 1 (cpu.cfs_quota_us, cpu.cfs_period_us); nullopt where nothing limits.
// `root` is the folder under which proc and sys lie: "/" but for tests.
std::optional<double> ControlGroupQuota(const std::filesystem::path& root = "/");

// One processor, the lowest, of each physical core among `processors`; all of them where the topology cannot
// be read.
std::vector<int> OneProcessorPerCore(std::span<const int> processors,
                                     const std::filesystem::path& root = "/");

// min(processors, quota rounded down, physical cores), at least 1. A quota of 7.65 gives 7.
int ThreadLimit(std::span<const int> processors, const std::filesystem::path& root = "/");

}  // namespace hone
