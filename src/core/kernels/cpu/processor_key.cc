#include "core/kernels/cpu/processor_key.h"

#include <fmt/format.h>

#include <fstream>

#include "core/base/printable.h"
#include "core/kernels/cpu/cpu_target.h"

namespace hone {

std::string ProcessorKey() {
  std::string name = "unknown";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t value = line.find(": ");
    if (!line.starts_with("model name") || value == std::string::npos) continue;
    name = Printable(line.substr(value + 2), 100);
    break;
  }
  return fmt::format("{} ({})", name, ActiveCpuTarget());
}

}  // namespace hone
