// A Survey on Efficient Inference for Large Language Models (arXiv 2404.14294), figure 15: which operators an
// answer's time goes to, at a short and a long context. Attention and linear operators together are the
// claim; what they leave to norms, rotations, activations and sums is what fusion could still win. The paper
// measured TensorRT-LLM and others on GPUs, dense and mixture-of-experts models; hone has dense ones.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/downloads/model_cache.h"
#include "evaluation/metrics/model_speed.h"
#include "evaluation/reproduce/experiment.h"
#include "language/models/operators.h"

namespace hone {
namespace {

constexpr std::string_view kModels[] = {"smollm2-135m", "gemma3-270m"};
constexpr int64_t kShort = 128;
constexpr int64_t kLong = 2048;  // or what the model holds, if that is less
constexpr int64_t kDecodeSteps = 32;
constexpr int kRepeat = 3;

struct Shares {
  double attention = 0.0;
  double linear = 0.0;
  double unaccounted = 0.0;
};

Shares SharesOf(const OperatorTimes& times) {
  Shares shares;
  for (const Operator op :
       {Operator::kQueryKeyValue, Operator::kOutput, Operator::kGateUp, Operator::kDown, Operator::kHead})
    shares.linear += times.of(op) / times.wall_seconds;
  shares.attention = times.of(Operator::kAttention) / times.wall_seconds;
  shares.unaccounted = 1.0 - times.sum() / times.wall_seconds;
  return shares;
}

void AddShares(Report& report, const std::string& model, const std::string& what, const Shares& shares) {
  report.Add(Aspect::kSpeed, model, what + ", attention", 100 * shares.attention, "%");
  report.Add(Aspect::kSpeed, model, what + ", linear", 100 * shares.linear, "%");
  report
      .Add(Aspect::kSpeed, model, what + ", attention and linear", 100 * (shares.attention + shares.linear),
           "%")
      .AtLeast(75)
      .Paper("usually above 75 %");
}

// What a stage's shares become from the short to the long context.
struct Growth {
  Shares shortest;
  Shares longest;
  int64_t length = 0;  // the long context
};

void Compare(Report& report, const std::string& model, const std::string& stage, const Growth& growth) {
  report
      .Add(Aspect::kSpeed, model,
           fmt::format("{}, attention's share from {} to {}", stage, kShort, growth.length),
           growth.longest.attention / growth.shortest.attention, "x")
      .AtLeast(1.0)
      .Paper("grows with the context");
}

Result<void> Break(ExperimentContext& context, const std::string& model, int64_t& done, int64_t total,
                   Report& report) {
  HONE_TRY(const std::string path, ResolveModel(model));
  Engine engine(context.threads());
  HONE_TRY(const std::shared_ptr<const Model> loaded, LoadModel(path, engine));
  HONE_TRY(const std::unique_ptr<Runner> runner, Runner::Create(loaded, engine));
  const auto pool = PagePool::Create(engine.accounts.kv);
  Growth decode, prefill;
  double worst = 0.0;
  const int64_t longest = std::min(kLong, loaded->config().context - kDecodeSteps - 1);
  for (const int64_t length : {kShort, longest}) {
    OperatorTimes prefill_times, decode_times;
    SpeedOptions speed;
    speed.prefill = length;
    speed.decode = 0;
    speed.repeat = kRepeat;
    speed.prefill_times = &prefill_times;
    speed.decode_times = &decode_times;
    HONE_CHECK_OK(MeasureSpeed(*runner, pool, speed));
    HONE_CHECK_OK(context.Step(++done, total));
    speed.prefill = 0;
    speed.decode = kDecodeSteps;
    speed.context = length;
    HONE_CHECK_OK(MeasureSpeed(*runner, pool, speed));
    HONE_CHECK_OK(context.Step(++done, total));
    for (const bool writing : {true, false}) {
      const Shares shares = SharesOf(writing ? decode_times : prefill_times);
      worst = std::max(worst, std::abs(shares.unaccounted));
      AddShares(report, model, fmt::format("{} {}", writing ? "decode behind" : "prefill of", length),
                shares);
      Growth& growth = writing ? decode : prefill;
      growth.length = longest;
      (length == kShort ? growth.shortest : growth.longest) = shares;
    }
  }
  Compare(report, model, "decode", decode);
  Compare(report, model, "prefill", prefill);
  report.Add(Aspect::kQuality, model, "wall time outside the operators' timers, most", 100 * worst, "%")
      .AtMost(3);
  return {};
}

}  // namespace

Result<void> ReproduceSurveyBreakdown(ExperimentContext& context, Report& report) {
  HONE_TRY(report.models, context.Models(kModels));
  const auto total = static_cast<int64_t>(report.models.size() * 4);
  int64_t done = 0;
  HONE_CHECK_OK(context.Step(0, total));
  for (const std::string& model : report.models) HONE_CHECK_OK(Break(context, model, done, total, report));
  report.notes.push_back(
      "linear: all products with weights, the head included; attention: scores, softmax and "
      "weighted sum. The rest is norms, rotation, activation, cache writes, sampling and sums.");
  report.notes.push_back("The paper's mixture-of-experts models have no counterpart here.");
  return {};
}

}  // namespace hone
