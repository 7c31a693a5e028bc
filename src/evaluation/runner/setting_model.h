// The model of a setting, ready to run: the user's own, or a quantized copy, with the caches of the setting.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "evaluation/runner/setting.h"
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

  uint64_t weight_bytes() const { return weight_bytes_; }  // that the loaded model holds
  double bits_per_weight() const {
    return bits_per_weight_;
  }  // bytes of the tensors times 8 over the weights
  double kv_bytes_per_token() const;

 private:
  SettingModel(const SettingSource& source, const EvalSetting& setting);
  Result<void> LoadWeights(const SettingSource& source);
  Result<std::string> Quantize(const SettingSource& source);
  Result<void> CountBits(const Plan& plan);

  Engine engine_;
  std::shared_ptr<PagePool> pool_;
  EvalSetting setting_;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Runner> runner_;
  uint64_t weight_bytes_ = 0;
  double bits_per_weight_ = 0.0;
};

}  // namespace hone
