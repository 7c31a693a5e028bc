// A Survey on Efficient Inference for Large Language Models (arXiv 2404.14294), table 4: what weight-only
// quantization gains over F16 in prefill and decode, by batch and input length. The paper's claims: decode
// gains, prefill loses (the weights are dequantized and the work is bound by arithmetic), gains shrink with
// batch and length, larger models gain more. Three arms on the same weights: F16; 4-bit weights with float
// activations (W4A16, the paper's); 4-bit weights with 8-bit activations (W4A8, what hone runs by default).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include "core/downloads/model_cache.h"
#include "core/formats/gguf/random_model.h"
#include "evaluation/metrics/model_speed.h"
#include "evaluation/metrics/perplexity.h"
#include "evaluation/reproduce/experiment.h"
#include "language/quantization/float_copy.h"

namespace hone {
namespace {

constexpr std::string_view kRandom = "random llama-1.1b";
constexpr std::string_view kModels[] = {"smollm2-135m", "gemma3-270m"};

// One request: so many sequences, so many tokens to read, so many to write.
struct Point {
  int64_t batch;
  int64_t prompt;
  int64_t decode;
};
// The largest model reads shorter prompts, so that the experiment takes minutes; every model has the points
// that the claims are judged by: batch 1 and 16, a short and a longer prompt.
constexpr Point kSmall[] = {{1, 128, 32}, {1, 1024, 32}, {2, 128, 16},
                            {4, 128, 16}, {8, 128, 8},   {16, 128, 8}};
constexpr Point kLarge[] = {{1, 64, 16}, {1, 256, 16}, {4, 32, 8}, {16, 32, 4}};
// Medians of interleaved runs; a point of many tokens runs once.
constexpr int64_t kManyTokens = 512;
int Repeat(const Point& point) { return point.batch * point.prompt > kManyTokens ? 1 : 3; }

// The paper's speed-ups of LLaMA-2-7B with AWQ in TensorRT-LLM on an A100.
constexpr std::string_view kPaperDecode = "2.40 at batch 1, 1.16 at batch 8 and 2048 tokens (7B, A100)";
constexpr std::string_view kPaperPrefill = "1.06 at batch 1, 0.78 at batch 8 and 2048 tokens (7B, A100)";

struct Times {
  double prefill = 0.0, decode = 0.0;
};

enum Arm { kF16, kF16Exact, kW4A16, kW4A8, kArms };

// The F16 and the 4-bit file of one model in one engine, each with a runner of both modes. Exact mode keeps
// keys and values in fp32, so W4A16 is compared with F16 in exact mode and W4A8 with F16 in fast mode: the
// cache is the same on both sides.
class Contest {
 public:
  static Result<std::unique_ptr<Contest>> Create(const std::string& q4_path, const std::string& f16_path,
                                                 int threads) {
    auto contest = std::unique_ptr<Contest>(new Contest(threads));
    const uint64_t before = contest->engine_.accounts.weights.used();
    HONE_TRY(const auto f16, LoadModel(f16_path, contest->engine_));
    contest->f16_bytes = contest->engine_.accounts.weights.used() - before;
    HONE_TRY(const auto q4, LoadModel(q4_path, contest->engine_));
    contest->q4_bytes = contest->engine_.accounts.weights.used() - before - contest->f16_bytes;
    const std::pair<std::shared_ptr<const Model>, NumericMode> arms[kArms] = {{f16, NumericMode::kFast},
                                                                              {f16, NumericMode::kExact},
                                                                              {q4, NumericMode::kExact},
                                                                              {q4, NumericMode::kFast}};
    for (int arm = 0; arm < kArms; ++arm) {
      RunnerOptions options;
      options.mode = arms[arm].second;
      HONE_TRY(contest->runners_[arm], Runner::Create(arms[arm].first, contest->engine_, options));
    }
    return contest;
  }

  Result<void> Run(ExperimentContext& context, std::span<const Point> points, int64_t& done, int64_t total) {
    for (const Point& point : points) {
      std::vector<double> prefill[kArms], decode[kArms];
      for (int pass = 0; pass < Repeat(point); ++pass) {
        for (int arm = 0; arm < kArms; ++arm) {
          HONE_TRY(const RequestSeconds seconds,
                   MeasureRequest(*runners_[arm], pool_, point.batch, point.prompt, point.decode));
          prefill[arm].push_back(seconds.prefill);
          decode[arm].push_back(seconds.decode);
          HONE_CHECK_OK(context.Step(++done, total));
        }
      }
      for (int arm = 0; arm < kArms; ++arm) {
        times_[{point.batch, point.prompt}][arm] = {SpreadOf(prefill[arm]).median,
                                                    SpreadOf(decode[arm]).median};
      }
    }
    return {};
  }

  Result<double> MeasurePerplexityOf(Arm arm, const ExperimentContext::Text& text) const {
    PerplexityOptions options;
    options.context = 256;
    options.chunks = 8;
    HONE_TRY(const Perplexity result,
             MeasurePerplexity(*runners_[arm], pool_, text.second_half, text.name, options));
    return result.perplexity;
  }

  // How many times faster an arm is than F16 with the same cache.
  double Prefill(const Point& point, Arm arm) const {
    return Of(point)[BaselineOf(arm)].prefill / Of(point)[arm].prefill;
  }
  double Decode(const Point& point, Arm arm) const {
    return Of(point)[BaselineOf(arm)].decode / Of(point)[arm].decode;
  }
  double Whole(const Point& point, Arm arm) const {
    const Times& base = Of(point)[BaselineOf(arm)];
    const Times& own = Of(point)[arm];
    return (base.prefill + base.decode) / (own.prefill + own.decode);
  }

  uint64_t f16_bytes = 0;
  uint64_t q4_bytes = 0;

 private:
  explicit Contest(int threads) : engine_(threads), pool_(PagePool::Create(engine_.accounts.kv)) {}
  static Arm BaselineOf(Arm arm) { return arm == kW4A8 ? kF16 : kF16Exact; }
  const std::array<Times, kArms>& Of(const Point& point) const {
    return times_.at({point.batch, point.prompt});
  }

  Engine engine_;
  std::shared_ptr<PagePool> pool_;
  std::unique_ptr<Runner> runners_[kArms];
  std::map<std::pair<int64_t, int64_t>, std::array<Times, kArms>> times_;
};

std::string_view NameOf(Arm arm) { return arm == kW4A8 ? "W4A8" : "W4A16"; }

struct Gains {
  double decode_w4a16 = 0.0, decode_w4a8 = 0.0;
};

// Claims a and c of one arm. The first point is the short prompt of one sequence, the second a longer one,
// the last the largest batch.
void ReportClaims(const Contest& contest, const std::string& model, Arm arm, std::span<const Point> points,
                  Report& report) {
  const Point& one = points[0];
  const Point& longer = points[1];
  const Point& many = points.back();
  const std::string name(NameOf(arm));
  const double gain = contest.Decode(one, arm);
  Finding& decode =
      report.Add(Aspect::kSpeed, model, name + ", claim a: decode gains at batch 1", gain, "x F16");
  decode.AtLeast(1.8).Paper(std::string(kPaperDecode));
  if (decode.verdict == Verdict::kDiffers)
    decode.Difference("turning codes into floats takes this processor longer than reading them");
  const std::string batches =
      fmt::format("{}, claim c: decode gain at batch {} over that at 1", name, many.batch);
  report.Add(Aspect::kSpeed, model, batches, contest.Decode(many, arm) / gain, "x")
      .AtMost(1.0)
      .Paper("gains shrink with the batch");
  const std::string lengths = fmt::format("{}, claim c: decode gain behind {} tokens over that behind {}",
                                          name, longer.prompt, one.prompt);
  report.Add(Aspect::kSpeed, model, lengths, contest.Decode(longer, arm) / gain, "x")
      .AtMost(1.0)
      .Paper("gains shrink with the length");
}

void ReportTable(const Contest& contest, const std::string& model, Arm arm, std::span<const Point> points,
                 Report& report) {
  for (const Point& point : points) {
    const std::string where =
        fmt::format("{}, batch {}, {} in, {} out", NameOf(arm), point.batch, point.prompt, point.decode);
    report.Add(Aspect::kSpeed, model, where + ": prefill", contest.Prefill(point, arm), "x F16");
    report.Add(Aspect::kSpeed, model, where + ": decode", contest.Decode(point, arm), "x F16");
    report.Add(Aspect::kSpeed, model, where + ": both", contest.Whole(point, arm), "x F16");
  }
}

Gains ReportModel(const Contest& contest, const std::string& model, std::span<const Point> points,
                  Report& report) {
  const Point& longer = points[1];
  for (const Arm arm : {kW4A16, kW4A8}) ReportClaims(contest, model, arm, points, report);
  report.Add(Aspect::kSpeed, model, "W4A16, claim b: prefill loses", contest.Prefill(longer, kW4A16), "x F16")
      .Within(0.7, 1.1)
      .Paper(std::string(kPaperPrefill));
  report.Add(Aspect::kSpeed, model, "W4A8: prefill", contest.Prefill(longer, kW4A8), "x F16")
      .Paper("no such arm")
      .Difference(
          "this processor multiplies bytes faster than floats: 8-bit activations turn the loss into a gain");
  for (const Arm arm : {kW4A16, kW4A8}) ReportTable(contest, model, arm, points, report);
  report.Add(Aspect::kMemory, model, "weights, F16", static_cast<double>(contest.f16_bytes), "bytes");
  report.Add(Aspect::kMemory, model, "weights, 4 bits", static_cast<double>(contest.q4_bytes), "bytes");
  return {contest.Decode(points[0], kW4A16), contest.Decode(points[0], kW4A8)};
}

Result<void> ReportQuality(const Contest& contest, const std::string& model,
                           const ExperimentContext::Text& text, Report& report) {
  HONE_TRY(const double f16, contest.MeasurePerplexityOf(kF16Exact, text));
  HONE_TRY(const double w4a16, contest.MeasurePerplexityOf(kW4A16, text));
  HONE_TRY(const double w4a8, contest.MeasurePerplexityOf(kW4A8, text));
  report.Add(Aspect::kQuality, model, "perplexity, F16 copy of the 4-bit weights", f16, "");
  report.Add(Aspect::kQuality, model, "perplexity, W4A16", w4a16, "");
  report.Add(Aspect::kQuality, model, "perplexity, W4A8", w4a8, "");
  report.Add(Aspect::kQuality, model, "W4A8 over F16, perplexity", w4a8 / f16, "x").AtMost(1.01);
  return {};
}

struct Candidate {
  std::string name;
  std::string q4_path;
  bool random = false;
  std::span<const Point> points;
};

// The real models, then the random one where the user named none.
Result<std::vector<Candidate>> ListModels(ExperimentContext& context, Report& report) {
  HONE_TRY(report.models, context.Models(kModels));
  std::vector<Candidate> candidates;
  for (const std::string& model : report.models) {
    HONE_TRY(std::string path, ResolveModel(model));
    candidates.push_back({model, std::move(path), false, kSmall});
  }
  if (!context.options().models.empty()) return candidates;
  HONE_TRY(const std::string folder, context.Folder());
  const std::string path = folder + "/llama-1.1b.gguf";
  HONE_CHECK_OK(WriteRandomModel("llama-1.1b", DType::kQ4_0, 1, path));
  candidates.push_back({std::string(kRandom), path, true, kLarge});
  report.models.emplace_back(kRandom);
  return candidates;
}

}  // namespace

Result<void> ReproduceSurveyQuantization(ExperimentContext& context, Report& report) {
  HONE_TRY(const std::vector<Candidate> candidates, ListModels(context, report));
  HONE_TRY(const std::string folder, context.Folder());
  HONE_TRY(const ExperimentContext::Text text, context.ReadText());
  report.text = text.name;
  int64_t total = 0, done = 0;
  for (const Candidate& candidate : candidates) {
    for (const Point& point : candidate.points) total += Repeat(point) * kArms;
  }
  HONE_CHECK_OK(context.Step(0, total));
  std::map<std::string, Gains> gains;
  for (const Candidate& candidate : candidates) {
    const std::string f16_path = folder + "/f16.gguf";
    HONE_CHECK_OK(WriteFloatCopy(candidate.q4_path, DType::kF16, f16_path));
    HONE_TRY(const auto contest, Contest::Create(candidate.q4_path, f16_path, context.threads()));
    HONE_CHECK_OK(contest->Run(context, candidate.points, done, total));
    gains[candidate.name] = ReportModel(*contest, candidate.name, candidate.points, report);
    if (!candidate.random) HONE_CHECK_OK(ReportQuality(*contest, candidate.name, text, report));
  }
  if (gains.contains(std::string(kRandom)) && gains.contains(std::string(kModels[0]))) {
    const Gains& large = gains[std::string(kRandom)];
    const Gains& small = gains[std::string(kModels[0])];
    report
        .Add(Aspect::kSpeed, std::string(kRandom), "W4A16 claim d: decode gain over that of smollm2-135m",
             large.decode_w4a16 / small.decode_w4a16, "x")
        .AtLeast(1.0)
        .Paper("13B gains as much as 7B or more");
    report
        .Add(Aspect::kSpeed, std::string(kRandom), "W4A8 claim d: decode gain over that of smollm2-135m",
             large.decode_w4a8 / small.decode_w4a8, "x")
        .AtLeast(1.0);
  }
  report.notes.push_back(
      "The F16 files are made of the 4-bit ones' values: what rounding to 4 bits cost in the first "
      "place is not measured here.");
  report.notes.push_back("The random model is for timing alone; its prompts are shorter.");
  report.notes.push_back(
      "F16 means F16 weights and float activations; AVX2 has no F16 arithmetic. Each arm is compared "
      "with F16 on the same cache: fp32 for W4A16, fp16 for W4A8.");
  return {};
}

}  // namespace hone
