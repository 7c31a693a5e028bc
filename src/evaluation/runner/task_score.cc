#include "evaluation/runner/task_score.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/random.h"
#include "evaluation/runner/dialogue.h"

namespace hone {
namespace {

constexpr int kResamples = 2000;
constexpr uint32_t kResampleUse = 0xB0075001;

// Characters (not bytes) of UTF-8, as lm-evaluation-harness divides by.
int64_t Characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

// The choice's own length: what stands between it and the context is not part of it.
int64_t ChoiceCharacters(std::string_view choice) {
  if (choice.starts_with(' ')) choice.remove_prefix(1);
  return std::max<int64_t>(1, Characters(choice));
}

ItemScore ScoreChoice(const EvalItem& item, std::span<const Likelihood> results) {
  size_t best = 0;
  size_t best_normalized = 0;
  const auto normalized = [&](size_t i) {
    return results[i].log_probability / static_cast<double>(ChoiceCharacters(item.choices[i]));
  };
  for (size_t i = 1; i < results.size(); ++i) {
    if (results[i].log_probability > results[best].log_probability) best = i;
    if (normalized(i) > normalized(best_normalized)) best_normalized = i;
  }
  double sum = 0.0;
  for (const Likelihood& result : results)
    sum += std::exp(result.log_probability - results[best].log_probability);
  ItemScore score{.value = best == static_cast<size_t>(item.gold) ? 1.0 : 0.0, .confidence = 1.0 / sum};
  score.normalized_right = best_normalized == static_cast<size_t>(item.gold);
  score.counted = std::ranges::none_of(results, &Likelihood::skipped);
  return score;
}

double Ratio(const std::vector<ItemScore>& items) {
  double value = 0.0;
  double weight = 0.0;
  for (const ItemScore& item : items) {
    if (!item.counted) continue;
    value += item.value;
    weight += item.weight;
  }
  return value / weight;
}

// statistic(places) for kResamples draws with replacement of `count` places; its 2.5 % and 97.5 % quantiles.
template <class Statistic>
Interval Bootstrap(size_t count, uint64_t seed, const Statistic& statistic) {
  if (count == 0) return {};
  std::vector<double> values;
  std::vector<size_t> places(count);
  for (int resample = 0; resample < kResamples; ++resample) {
    for (size_t i = 0; i < count; ++i) {
      places[i] = RandomWord(seed, static_cast<uint64_t>(resample) * count + i, kResampleUse) % count;
    }
    values.push_back(statistic(places));
  }
  std::ranges::sort(values);
  const auto quantile = [&](double share) {
    return values[static_cast<size_t>(share * (kResamples - 1) + 0.5)];
  };
  return {quantile(0.025), quantile(0.975)};
}

}  // namespace

double CalibrationError(const std::vector<ItemScore>& items) {
  constexpr size_t kBins = 10;
  struct Bin {
    double right = 0.0, confidence = 0.0;
  };
  std::array<Bin, kBins> bins{};
  double counted = 0.0;
  for (const ItemScore& item : items) {
    if (!item.counted) continue;
    Bin& bin = bins[std::min(kBins - 1, static_cast<size_t>(item.confidence * kBins))];
    bin.right += item.value;
    bin.confidence += item.confidence;
    counted += 1.0;
  }
  double error = 0.0;
  for (const Bin& bin : bins) error += std::abs(bin.right - bin.confidence);
  return counted > 0.0 ? error / counted : 0.0;
}

Interval ScoreInterval(const std::vector<ItemScore>& items, uint64_t seed) {
  std::vector<ItemScore> counted;
  std::ranges::copy_if(items, std::back_inserter(counted), &ItemScore::counted);
  return Bootstrap(counted.size(), seed, [&](const std::vector<size_t>& places) {
    double value = 0.0;
    double weight = 0.0;
    for (const size_t place : places) {
      value += counted[place].value;
      weight += counted[place].weight;
    }
    return value / weight;
  });
}

Interval PairedDifference(const TaskScore& a, const TaskScore& b, uint64_t seed) {
  std::vector<size_t> both;
  for (size_t i = 0; i < std::min(a.by_item.size(), b.by_item.size()); ++i) {
    if (a.by_item[i].counted && b.by_item[i].counted) both.push_back(i);
  }
  return Bootstrap(both.size(), seed, [&](const std::vector<size_t>& places) {
    double values[2] = {};
    double weights[2] = {};
    for (const size_t place : places) {
      const ItemScore* items[2] = {&a.by_item[both[place]], &b.by_item[both[place]]};
      for (int side = 0; side < 2; ++side) {
        values[side] += items[side]->value;
        weights[side] += items[side]->weight;
      }
    }
    return values[1] / weights[1] - values[0] / weights[0];
  });
}

namespace {

Result<TaskScore> RunLikelihoods(const Reader& reader, const EvalTask& task,
                                 const LikelihoodOptions& options) {
  std::vector<LikelihoodRequest> requests;
  for (const EvalItem& item : task.items) {
    for (const std::string& choice : item.choices) {
      HONE_TRY(LikelihoodRequest request,
               EncodeRequest(reader.runner.model().tokenizer(), item.context, choice));
      requests.push_back(std::move(request));
    }
  }
  HONE_TRY(const std::vector<Likelihood> results, ScoreLikelihoods(reader, std::move(requests), options));
  TaskScore score;
  size_t at = 0;
  for (const EvalItem& item : task.items) {
    const auto own = std::span(results).subspan(at, item.choices.size());
    at += item.choices.size();
    ItemScore scored;
    if (task.kind == EvalKind::kChoice) {
      scored = ScoreChoice(item, own);
    } else {
      const bool likelihood = task.kind == EvalKind::kLikelihood;
      scored.value = likelihood ? -own[0].log_probability : own[0].greedy ? 1.0 : 0.0;
      scored.weight = likelihood ? static_cast<double>(own[0].tokens) : 1.0;
      scored.counted = !own[0].skipped;
    }
    score.shortened += std::ranges::any_of(own, &Likelihood::shortened) ? 1 : 0;
    score.by_item.push_back(scored);
  }
  return score;
}

Result<TaskScore> RunDialogues(const Reader& reader, const EvalTask& task, const LikelihoodOptions& options,
                               const Reader& judge) {
  HONE_TRY(const std::vector<LikelihoodRequest> answers, AnswerDialogues(reader, task, options));
  HONE_TRY(const std::vector<Likelihood> results,
           ScoreLikelihoods(judge, answers, {.cancel = options.cancel}));
  TaskScore score;
  for (size_t i = 0; i < answers.size(); ++i) {
    score.shortened += results[i].shortened ? 1 : 0;
    score.by_item.push_back({.value = -results[i].log_probability,
                             .weight = static_cast<double>(results[i].tokens),
                             .repetition = RepetitionRate(answers[i].continuation),
                             .counted = !results[i].skipped});
  }
  return score;
}

}  // namespace

Result<TaskScore> RunTask(const Reader& reader, const EvalTask& task, const LikelihoodOptions& options,
                          const Reader* judge) {
  auto run = task.kind == EvalKind::kDialogue
                 ? RunDialogues(reader, task, options, judge != nullptr ? *judge : reader)
                 : RunLikelihoods(reader, task, options);
  HONE_TRY(TaskScore score, std::move(run));
  score.task = task.name;
  score.kind = task.kind;
  double normalized = 0.0;
  for (const ItemScore& item : score.by_item) {
    score.skipped += item.counted ? 0 : 1;
    normalized += item.counted && item.normalized_right ? 1.0 : 0.0;
    score.repetition += item.counted ? item.repetition : 0.0;
  }
  score.items = static_cast<int64_t>(score.by_item.size()) - score.skipped;
  if (score.items == 0) return Failed("{}: no item fits the model's context", task.name);
  score.score = Ratio(score.by_item);
  score.interval = ScoreInterval(score.by_item);
  score.repetition /= static_cast<double>(score.items);
  if (task.kind == EvalKind::kChoice) {
    score.normalized = normalized / static_cast<double>(score.items);
    score.calibration_error = CalibrationError(score.by_item);
  }
  return score;
}

}  // namespace hone
