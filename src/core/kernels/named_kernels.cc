#include "core/kernels/named_kernels.h"

#include <map>
#include <mutex>

namespace hone {
namespace {

struct Names {
  std::mutex mutex;
  std::map<std::string, const DeviceKernels*, std::less<>> kernels;
};

Names& AllNames() {
  static Names names;
  return names;
}

}  // namespace

Result<NamedKernels> NamedKernels::Add(std::string name, const DeviceKernels& kernels) {
  Names& names = AllNames();
  const std::lock_guard lock(names.mutex);
  if (name == "cpu" || !names.kernels.emplace(name, &kernels).second)
    return WrongUsage("device: {} has kernels already", name);
  return NamedKernels(std::move(name));
}

NamedKernels::~NamedKernels() {
  if (name_.empty()) return;
  Names& names = AllNames();
  const std::lock_guard lock(names.mutex);
  names.kernels.erase(name_);
}

const DeviceKernels* FindNamedKernels(std::string_view name) {
  Names& names = AllNames();
  const std::lock_guard lock(names.mutex);
  const auto at = names.kernels.find(name);
  return at == names.kernels.end() ? nullptr : at->second;
}

}  // namespace hone
