// Every kernel beside its limit, and beside a public peer where there is one: what `hone bench kernels`
// prints.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/memory_account.h"
#include "evaluation/metrics/machine_probe.h"
#include "evaluation/metrics/peer_ggml.h"
#include "evaluation/metrics/peer_products.h"

namespace hone {

struct PeerRatio {
  std::string peer;
  double ratio = 0.0;  // the peer's time over hone's, same shape, in turn
};

struct KernelSpeed {
  std::string kernel;  // "product Q4_0, flat"
  std::string shape;   // "4096 x 4096, 8 rows"
  std::string limit;   // "memory", "cache", "byte dots", "fused multiply-adds"
  double seconds = 0.0;
  double speed = 0.0;     // in the limit's unit: bytes or operations a second
  double fraction = 0.0;  // of the limit
  std::vector<PeerRatio> peers;
};

struct KernelSpeedOptions {
  std::vector<std::string> formats;  // names of weight formats; empty: all
  int rounds = 5;                    // a figure is the median of so many readings
  double reading_seconds = 0.02;
  const PeerGgml* ggml = nullptr;  // a peer of the quantized products and of attention, where given
  std::function<Result<void>(int64_t done, int64_t total)> progress;
};

// Products: one row streamed from memory, 8 rows streamed, 512 rows of a matrix in cache; attention: a prompt
// of 512 and one row over 8192 entries; what works on single rows: norm, rotation, activation, preparation of
// activations.
Result<std::vector<KernelSpeed>> MeasureKernels(ComputeShare& share, MemoryAccount& account,
                                                const MachineLimits& limits, const PeerProducts& peers,
                                                const KernelSpeedOptions& options);

}  // namespace hone
