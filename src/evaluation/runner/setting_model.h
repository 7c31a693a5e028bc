// The model of a setting, ready to run: the user's own, or a quantized copy, with the caches of the setting.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/base/result.h"
#include "core/kernels/named_kernels.h"
#include "evaluation/runner/setting.h"
#include "evaluation/simulation/rounding_kernels.h"
#include "language/models/runner.h"

namespace hone {

struct SettingSource {
  std::string model;   // path of a GGUF file or a Hugging Face folder
  std::string folder;  // for quantized copies, which are removed as soon as they are loaded
  int threads = 0;     // 0: DefaultThreads()
};

class SettingModel {
 public:
  // Errors name the setting, the model or the plan.
  static Result<std::unique_ptr<SettingModel>> Load(const SettingSource& source, const EvalSetting& setting);

  const EvalSetting& setting() const { return setting_; }
  const Model& model() const { return *model_; }
  Runner& runner() { return *runner_; }
  const std::shared_ptr<PagePool>& pool() const { return pool_; }
  // An empty cache as the setting has it.
  KvCache MakeCache() const;

  // What the weights take; of simulated ones, what the formula of their groups or the file of their type
  // says.
  uint64_t weight_bytes() const { return weight_bytes_; }
  double bits_per_weight() const { return bits_per_weight_; }
  double kv_bytes_per_token() const;

 private:
  SettingModel(const SettingSource& source, const EvalSetting& setting);
  Result<void> LoadWeights(const SettingSource& source);
  // Each writes a file and returns its path.
  Result<std::string> WriteMix(const SettingSource& source);
  Result<std::string> WriteGroups(const SettingSource& source);
  Result<void> CountBits(const Plan& plan);
  Result<void> MakeRunner(const SettingSource& source, const Plan& plan);
  int64_t kv_group() const;

  Engine engine_;
  std::shared_ptr<PagePool> pool_;
  EvalSetting setting_;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<RoundingKernels> rounding_;
  std::optional<NamedKernels> rounding_name_;
  std::unique_ptr<Runner> runner_;
  bool head_takes_bytes_ = false;  // the packed head would be multiplied with 8-bit activations
  uint64_t weight_bytes_ = 0;
  double bits_per_weight_ = 0.0;
};

}  // namespace hone
