// How a plan that was measured names the processor that it was measured on.
#pragma once

#include <string>

namespace hone {

// The processor's own name and the kernels' target, such as "AMD EPYC 7B13 (avx2)"; the name is "unknown"
// where the system does not tell it.
std::string ProcessorKey();

}  // namespace hone
