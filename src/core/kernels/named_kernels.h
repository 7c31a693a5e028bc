// Kernels that a program adds to those of its devices, under a name that RunnerOptions::device may have: a
// decoration that counts or rounds, a device in a test.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/kernels/device_kernels.h"

namespace hone {

// FindKernels finds `kernels` by `name` while this lives. It outlives the runners that were made with the
// name.
class NamedKernels {
 public:
  // Refused: a name that is taken.
  static Result<NamedKernels> Add(std::string name, const DeviceKernels& kernels);
  NamedKernels(NamedKernels&& other) noexcept : name_(std::move(other.name_)) { other.name_.clear(); }
  NamedKernels& operator=(NamedKernels&&) = delete;
  ~NamedKernels();

  const std::string& name() const { return name_; }

 private:
  explicit NamedKernels(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

// Null where no NamedKernels has the name.
const DeviceKernels* FindNamedKernels(std::string_view name);

}  // namespace hone
