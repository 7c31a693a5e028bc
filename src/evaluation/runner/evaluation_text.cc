// An evaluation as a table and as JSON.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/progress.h"
#include "evaluation/runner/evaluation.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

bool SurelyDifferent(const Interval& interval) { return interval.low > 0.0 || interval.high < 0.0; }

std::string_view Unit(EvalKind kind) {
  if (kind == EvalKind::kDialogue) return "nats a token of the greedy answers under the reference";
  return kind == EvalKind::kLikelihood ? "nats a token" : "share right";
}

std::string Line(const SettingResult& result, size_t name_width, int64_t context, const TaskScore& score,
                 const TaskScore* reference) {
  std::string line = fmt::format("  {:<{}}  {:6.2f} bits a weight  {:>8}  {:8.4f} [{:.4f}, {:.4f}]",
                                 result.setting.name, name_width, result.bits_per_weight,
                                 ReadableSize(static_cast<uint64_t>(result.Bytes(context))), score.score,
                                 score.interval.low, score.interval.high);
  if (reference != nullptr) {
    const Interval paired = PairedDifference(*reference, score);
    line += fmt::format("  {:+.4f} [{:+.4f}, {:+.4f}]{}", score.score - reference->score, paired.low,
                        paired.high, SurelyDifferent(paired) ? "" : "  not told apart");
  }
  if (score.kind == EvalKind::kLikelihood) line += fmt::format("  perplexity {:.3f}", std::exp(score.score));
  if (score.kind == EvalKind::kChoice)
    line +=
        fmt::format("  acc_norm {:.4f}  calibration error {:.3f}", score.normalized, score.calibration_error);
  if (score.kind == EvalKind::kDialogue) line += fmt::format("  repeated {:.3f}", score.repetition);
  return line + "\n";
}

}  // namespace

std::string EvaluationText(const std::vector<SettingResult>& results, const std::vector<EvalTask>& tasks,
                           int64_t context) {
  std::string text;
  size_t width = 8;
  for (const SettingResult& result : results) width = std::max(width, result.setting.name.size());
  for (size_t t = 0; t < tasks.size(); ++t) {
    const TaskScore& reference = results.front().scores[t];
    text += fmt::format("{}: {} ({} items, {})\n", tasks[t].name, tasks[t].definition, reference.items,
                        Unit(tasks[t].kind));
    for (const SettingResult& result : results)
      text +=
          Line(result, width, context, result.scores[t], &result == &results.front() ? nullptr : &reference);
    if (reference.skipped + reference.shortened > 0)
      text += fmt::format("  {} items were too long and left out, {} lost the left end of their context\n",
                          reference.skipped, reference.shortened);
  }
  if (std::ranges::any_of(results, [](const SettingResult& r) { return r.setting.simulate; }))
    text += "Simulated: floats that were rounded; sizes are what the packed form would take.\n";
  text += fmt::format("Sizes are weights with keys and values of {} tokens.\n", context);
  if (results.size() > 1)
    text += fmt::format("Differences are to {}; in brackets 95 % intervals, paired by item.\n",
                        results.front().setting.name);
  return text;
}

std::string EvaluationJson(const std::vector<SettingResult>& results, const std::vector<EvalTask>& tasks,
                           int64_t context) {
  Json json = {{"context", context}, {"settings", Json::array()}};
  for (const SettingResult& result : results) {
    Json scores = Json::array();
    for (size_t t = 0; t < tasks.size(); ++t) {
      const TaskScore& score = result.scores[t];
      Json entry = {{"task", score.task},
                    {"definition", tasks[t].definition},
                    {"unit", Unit(score.kind)},
                    {"score", score.score},
                    {"interval", {score.interval.low, score.interval.high}},
                    {"lower_is_better", LowerIsBetter(score.kind)},
                    {"items", score.items},
                    {"skipped", score.skipped},
                    {"shortened", score.shortened}};
      if (score.kind == EvalKind::kLikelihood) entry["perplexity"] = std::exp(score.score);
      if (score.kind == EvalKind::kChoice) {
        entry["acc_norm"] = score.normalized;
        entry["calibration_error"] = score.calibration_error;
      }
      if (score.kind == EvalKind::kDialogue) entry["repetition"] = score.repetition;
      if (&result != &results.front()) {
        const TaskScore& reference = results.front().scores[t];
        const Interval paired = PairedDifference(reference, score);
        entry["difference"] = {{"to", results.front().setting.name},
                               {"value", score.score - reference.score},
                               {"interval", {paired.low, paired.high}},
                               {"told_apart", SurelyDifferent(paired)}};
      }
      scores.push_back(std::move(entry));
    }
    json["settings"].push_back({{"setting", result.setting.name},
                                {"simulated", result.setting.simulate},
                                {"type_mix", result.setting.type_mix()},
                                {"plans", result.setting.plans},
                                {"bits_per_weight", result.bits_per_weight},
                                {"weight_bytes", result.weight_bytes},
                                {"kv_bytes_per_token", result.kv_bytes_per_token},
                                {"bytes", result.Bytes(context)},
                                {"seconds", result.seconds},
                                {"tasks", std::move(scores)}});
  }
  return json.dump(2);
}

}  // namespace hone
