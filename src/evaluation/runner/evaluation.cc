#include "evaluation/runner/evaluation.h"

#include <chrono>
#include <memory>

namespace hone {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Reader ReaderOf(SettingModel& model) {
  return {model.runner(), model.pool(), [&model] { return model.MakeCache(); }};
}

}  // namespace

Result<std::vector<SettingResult>> Evaluate(const EvaluationOptions& options) {
  std::vector<SettingResult> results;
  std::unique_ptr<SettingModel> reference;  // stays: it judges what the others say
  for (const EvalSetting& setting : options.settings) {
    HONE_TRY(std::unique_ptr<SettingModel> model, SettingModel::Load(options.source, setting));
    SettingResult result{.setting = setting,
                         .weight_bytes = model->weight_bytes(),
                         .bits_per_weight = model->bits_per_weight(),
                         .kv_bytes_per_token = model->kv_bytes_per_token()};
    const Reader reader = ReaderOf(*model);
    const Reader judge = ReaderOf(reference ? *reference : *model);
    for (const EvalTask& task : options.tasks) {
      LikelihoodOptions likelihood{.cancel = options.cancel};
      likelihood.progress = [&](int64_t done, int64_t total) {
        if (options.progress) options.progress(setting.name + " " + task.name, done, total);
      };
      const double start = Seconds();
      HONE_TRY(TaskScore score, RunTask(reader, task, likelihood, &judge));
      result.task_seconds.push_back(Seconds() - start);
      result.seconds += result.task_seconds.back();
      result.scores.push_back(std::move(score));
    }
    results.push_back(std::move(result));
    if (!reference) reference = std::move(model);
  }
  return results;
}

}  // namespace hone
