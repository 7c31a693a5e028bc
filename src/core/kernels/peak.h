// Loops that do nothing but arithmetic: what the active CPU target can do at most, beside which kernels are
// measured.
#pragma once

#include <cstdint>
#include <string_view>

namespace hone {

// kFma:      float32 fused multiply-adds, two operations each.
// kByteDots: products of bytes summed in integers, two operations each, by the target's own instruction (see
//            ActiveInt8Kernel): vpdpbusd, or maddubs and an addition of 16-bit lanes.
enum class PeakLoop : uint8_t { kFma, kByteDots };

// Runs some 100 microseconds of the loop on the calling thread and returns the number of operations it did.
// On the scalar target plain C++ that the compiler may vectorize for the oldest processor.
int64_t RunPeakLoop(PeakLoop loop);

}  // namespace hone
