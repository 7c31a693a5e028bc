// What this machine gives right now: the limits beside which a speed is read.
#pragma once

#include <cstdint>

#include "core/base/compute_share.h"
#include "core/base/memory_account.h"
#include "core/kernels/peak.h"

namespace hone {

// Bytes per second that all threads of `share` together read from memory: the best of several passes over a
// buffer that is larger than the caches, drawn from `account`.
Result<double> MeasureReadBandwidth(ComputeShare& share, MemoryAccount& account);

// Operations per second that all threads of `share` together do in a loop of nothing else: the best of
// several passes.
double MeasurePeak(ComputeShare& share, PeakLoop loop);

// How many processors' worth of arithmetic the threads of `share` get: about their number where nobody else
// computes.
double MeasureFreeCores(ComputeShare& share);

// What the threads of a share get from this machine, measured now.
struct MachineLimits {
  double memory_bandwidth = 0.0;  // bytes a second read from memory
  double cache_bandwidth = 0.0;   // from buffers that stay in each core's second-level cache
  double float_operations = 0.0;  // a second, see PeakLoop
  double byte_operations = 0.0;
  double free_cores = 0.0;
};
Result<MachineLimits> MeasureLimits(ComputeShare& share, MemoryAccount& account);

// The most memory this process ever had resident (VmHWM of /proc/self/status), bytes; 0 where that cannot be
// read.
uint64_t PeakResidentBytes();

}  // namespace hone
