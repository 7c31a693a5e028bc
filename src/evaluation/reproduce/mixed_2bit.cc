// Fast and Efficient 2-bit LLM Inference on GPU: 2/4/16-bit in a Weight Matrix with Asynchronous
// Dequantization (arXiv 2311.16442). Claims: 2.9 bits a weight, scales included, lose little; the bands and
// outliers that get more bits must be the sensitive ones; scales of 3 bits lose nothing; 2-bit weights are
// faster than float16 by far. Every arm quantizes the same matrices with the same second moments of one half
// of the text; perplexity is measured on the other. Arms that are not packed are judged as float16 copies;
// the packed one runs from its plan.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <vector>

#include "core/downloads/model_cache.h"
#include "core/formats/gguf/gguf_file.h"
#include "core/tensor/half.h"
#include "evaluation/metrics/matmul_speed.h"
#include "evaluation/metrics/model_speed.h"
#include "evaluation/metrics/perplexity.h"
#include "evaluation/reproduce/experiment.h"
#include "language/models/mixed_plan.h"
#include "language/models/model_hash.h"
#include "language/quantization/float_copy.h"
#include "language/quantization/mixed_model.h"
#include "language/quantization/round_in_groups.h"

namespace hone {
namespace {

constexpr std::string_view kModels[] = {"smollm2-135m"};
constexpr double kBits = 2.91;
constexpr int64_t kWindows = 24;
constexpr int kSeeds = 3;

struct Arm {
  std::string name;
  MixedOptions options;
  bool gptq = false;
  bool three_bits = false;  // plain 3 bits in groups of 64 instead
};

std::vector<Arm> ListArms() {
  MixedOptions two;
  two.four_bit_share = 0.0;
  two.outlier_share = 0.0;
  MixedOptions bands = two;
  bands.four_bit_share = OptionsForBits(kBits, bands)->four_bit_share;
  const MixedOptions full = *OptionsForBits(kBits);
  std::vector<Arm> arms = {{"2 bits alone", two},
                           {"3 bits in groups of 64", {}, false, true},
                           {"4-bit bands by H and range", bands}};
  for (int seed = 0; seed < kSeeds; ++seed) {
    Arm random{fmt::format("4-bit bands at random, seed {}", seed), bands};
    random.options.rule = BandRule::kRandom;
    random.options.seed = static_cast<uint64_t>(seed);
    arms.push_back(random);
  }
  arms.push_back({"bands and outliers", full});
  arms.push_back({"outliers anywhere", full});
  arms.back().options.outliers = OutlierPlace::kAnywhere;
  arms.push_back({"scales of 4 bits", full});
  arms.back().options.scales = ScaleForm::kFourBits;
  arms.push_back({"scales of 16 bits", full});
  arms.back().options.scales = ScaleForm::kHalf;
  arms.push_back({"bands, outliers and GPTQ", full, true});
  return arms;
}

// A float16 copy of a model whose matrices are written over.
class ArmFile {
 public:
  static Result<ArmFile> Create(const std::string& base, const std::string& path) {
    std::error_code error;
    std::filesystem::copy_file(base, path, std::filesystem::copy_options::overwrite_existing, error);
    if (error) return Failed("{}: cannot be written: {}", path, error.message());
    ArmFile file;
    file.path_ = path;
    file.stream_.open(path, std::ios::in | std::ios::out | std::ios::binary);
    return file;
  }
  void Write(const FileTensor& tensor, std::span<const float> values) {
    std::vector<uint16_t> halves(values.size());
    for (size_t i = 0; i < values.size(); ++i) halves[i] = F32ToF16(values[i]);
    stream_.seekp(static_cast<std::streamoff>(tensor.offset));
    stream_.write(reinterpret_cast<const char*>(halves.data()),
                  static_cast<std::streamsize>(halves.size() * 2));
  }
  Result<std::string> Finish() {
    stream_.close();
    if (!stream_) return Failed("{}: cannot be written", path_);
    return path_;
  }

 private:
  std::string path_;
  std::fstream stream_;
};

Result<double> PerplexityOf(const std::string& path, const Plan* plan, NumericMode mode,
                            const ExperimentContext& context, const ExperimentContext::Text& text) {
  Engine engine(context.threads());
  LoadOptions load;
  load.plan = plan;
  HONE_TRY(const auto model, LoadModel(path, engine, load));
  RunnerOptions options;
  options.mode = mode;
  HONE_TRY(const auto runner, Runner::Create(model, engine, options));
  PerplexityOptions perplexity;
  perplexity.context = 512;
  perplexity.chunks = 12;
  HONE_TRY(const Perplexity result, MeasurePerplexity(*runner, PagePool::Create(engine.accounts.kv),
                                                      text.second_half, text.name, perplexity));
  return result.perplexity;
}

struct Quality {
  double reference = 0.0;
  std::map<std::string, double> loss;  // log perplexity over the reference's, by arm
  double packed_exact = 0.0, packed_fast = 0.0;
  double three_bits = 0.0;  // a weight
  MixedPlan packed;
};

Result<Quality> MeasureQuality(ExperimentContext& context, const std::string& path,
                               const ExperimentContext::Text& text) {
  Quality quality;
  HONE_TRY(const std::string folder, context.Folder());
  const std::string base = folder + "/float16.gguf";
  HONE_CHECK_OK(WriteFloatCopy(path, DType::kF16, base));
  HONE_TRY(const GgufFile layout, GgufFile::Open(base));
  const std::vector<Arm> arms = ListArms();
  std::vector<ArmFile> files;
  for (size_t i = 0; i < arms.size(); ++i) {
    HONE_TRY(ArmFile file, ArmFile::Create(base, fmt::format("{}/arm{}.gguf", folder, i)));
    files.push_back(std::move(file));
  }
  CalibrationSettings calibration;
  calibration.text = text.first_half;
  calibration.text_name = text.name;
  calibration.windows = kWindows;
  calibration.threads = context.threads();
  calibration.cancel = context.options().cancel;
  PlanPart part;
  part.acts = PlanStage::kLoad;
  int64_t done = 0, total = 0;
  for (const FileTensor& tensor : layout.tensors()) {
    if (InputOfMatrix(tensor.name) && tensor.shape.size() == 2) ++total;
  }
  total += static_cast<int64_t>(arms.size()) + 3;
  HONE_CHECK_OK(VisitCalibratedMatrices(
      path, calibration, [&](ComputeShare& share, const CalibratedMatrix& matrix) -> Result<void> {
        const FileTensor* tensor = layout.FindTensor(matrix.name);
        for (size_t i = 0; i < arms.size(); ++i) {
          if (arms[i].three_bits) {
            std::vector<float> values(static_cast<size_t>(matrix.values.rows * matrix.values.columns));
            HONE_TRY(quality.three_bits,
                     RoundInGroups(matrix.values, 3, 64, matrix.importance,
                                   {values.data(), matrix.values.rows, matrix.values.columns}));
            files[i].Write(*tensor, values);
            continue;
          }
          const std::span<const float> factor =
              arms[i].gptq ? matrix.inverse_factor : std::span<const float>();
          HONE_TRY(const MixedWeights mixed,
                   QuantizeMixed(share, matrix.values, matrix.importance, factor, arms[i].options, true));
          files[i].Write(*tensor, mixed.values);
          if (!arms[i].gptq) continue;
          AddMixedTensor(matrix.name, mixed.layout, mixed.groups, part);
          ++quality.packed.matrices;
          quality.packed.weights += mixed.values.size();
          quality.packed.bytes +=
              mixed.groups.size() + static_cast<uint64_t>(matrix.values.columns / kBandColumns);
        }
        return context.Step(++done, total);
      }));
  quality.packed.plan.parts.emplace(std::string(kMixedPart), std::move(part));
  HONE_TRY(quality.reference, PerplexityOf(base, nullptr, NumericMode::kExact, context, text));
  HONE_CHECK_OK(context.Step(++done, total));
  for (size_t i = 0; i < arms.size(); ++i) {
    HONE_TRY(const std::string file, files[i].Finish());
    HONE_TRY(const double perplexity, PerplexityOf(file, nullptr, NumericMode::kExact, context, text));
    quality.loss[arms[i].name] = std::log(perplexity / quality.reference);
    std::filesystem::remove(file);
    HONE_CHECK_OK(context.Step(++done, total));
  }
  HONE_TRY(quality.packed.plan.parts.begin()->second.made_for[PlanKey::kWeights], WeightsHash(path));
  HONE_TRY(quality.packed_exact,
           PerplexityOf(path, &quality.packed.plan, NumericMode::kExact, context, text));
  HONE_CHECK_OK(context.Step(++done, total));
  HONE_TRY(quality.packed_fast, PerplexityOf(path, &quality.packed.plan, NumericMode::kFast, context, text));
  return quality;
}

void ReportQuality(const Quality& quality, const std::string& model, Report& report) {
  const auto loss = [&](const std::string& arm) { return quality.loss.at(arm); };
  report.Add(Aspect::kQuality, model, "perplexity of the reference", quality.reference, "");
  for (const auto& [arm, value] : quality.loss)
    report.Add(Aspect::kQuality, model, "log perplexity lost, " + arm, value, "");
  double random = 0.0;
  for (int seed = 0; seed < kSeeds; ++seed)
    random += loss(fmt::format("4-bit bands at random, seed {}", seed)) / kSeeds;
  report
      .Add(Aspect::kQuality, model, "loss with the sensitive bands over that with random ones",
           loss("4-bit bands by H and range") / random, "x")
      .AtMost(0.8);
  report
      .Add(Aspect::kQuality, model,
           fmt::format("loss of all parts at {:.2f} bits over that of 3 bits at {:.2f}",
                       quality.packed.BitsPerWeight(), quality.three_bits),
           loss("bands, outliers and GPTQ") / loss("3 bits in groups of 64"), "x")
      .AtMost(1.0)
      .Paper("negligible loss at 2.91 bits (Llama 2)");
  const double bands_alone = loss("4-bit bands by H and range");
  report
      .Add(Aspect::kQuality, model, "gain of outliers in 2-bit bands over that of outliers anywhere",
           (bands_alone - loss("bands and outliers")) / (bands_alone - loss("outliers anywhere")), "x")
      .AtLeast(0.9)
      .Paper("outliers only in 2-bit bands")
      .Difference("both start from 4-bit bands that take the bits of the outliers as well");
  report
      .Add(Aspect::kQuality, model, "loss with packed scales over scales of 4 bits",
           loss("bands and outliers") / loss("scales of 4 bits"), "x")
      .AtMost(1.02)
      .Paper("no loss by clipping");
  report
      .Add(Aspect::kQuality, model, "loss with packed scales over scales of 16 bits",
           loss("bands and outliers") / loss("scales of 16 bits"), "x")
      .AtMost(1.05);
  const double copy = quality.reference * std::exp(loss("bands, outliers and GPTQ"));
  report
      .Add(Aspect::kQuality, model, "perplexity, packed with float activations, over the float16 copy",
           quality.packed_exact / copy, "x")
      .Within(0.999, 1.001);
  report
      .Add(Aspect::kQuality, model, "perplexity, packed with 8-bit activations, over float ones",
           quality.packed_fast / quality.packed_exact, "x")
      .Within(0.98, 1.02);
  report
      .Add(Aspect::kMemory, model, "bits a weight, by the bytes of the plan", quality.packed.BitsPerWeight(),
           "bits")
      .AtMost(2.95)
      .Paper("2.91");
}

// One product of a [4096, 4096] matrix that comes from memory.
Result<void> MeasureSpeed(const ExperimentContext& context, Report& report) {
  constexpr int64_t kSize = 4096;
  constexpr uint64_t kBytes = 192 << 20;
  ComputePool pool(context.threads());
  const auto share = pool.MakeShare();
  MemoryAccount account("mixed-2bit");
  std::vector<uint8_t> four(kSize / kBandColumns, 0);
  for (size_t i = 0; i < 31; ++i) four[i * 8] = 1;  // one of eight, and a multiple of three left
  struct Subject {
    std::string name;
    const WeightFormat* format;
    int64_t group_bytes;
  };
  HONE_TRY(MixedLayout plain, MixedLayout::Make(four, 0));
  HONE_TRY(MixedLayout sparse, MixedLayout::Make(four, 18));
  const auto without = MakeMixedFormat(plain), with = MakeMixedFormat(sparse);
  const std::array<Subject, 4> subjects = {{{"F16", FindWeightFormat(DType::kF16), 0},
                                            {"Q4_0", FindWeightFormat(DType::kQ4_0), 0},
                                            {"mixed", without.get(), plain.bytes()},
                                            {"mixed with outliers", with.get(), sparse.bytes()}}};
  std::vector<MatmulSubject> measured;
  for (const Subject& subject : subjects) {
    // Codes and scales alike; the outliers' columns lie within the matrix.
    const std::vector<std::byte> group(static_cast<size_t>(subject.group_bytes), std::byte{0x0A});
    HONE_TRY(MatmulSubject matmul,
             MatmulSubject::Create(account, *subject.format, kSize, kSize, kBytes, group));
    measured.push_back(std::move(matmul));
  }
  std::array<std::vector<double>, 4> seconds;
  for (int round = 0; round < 9; ++round) {
    for (size_t i = 0; i < subjects.size(); ++i) {
      const WeightFormat& format = *subjects[i].format;
      const MatmulChoice choice = BuiltInMatmulChoice(
          {format.source(), format.form(NumericMode::kFast), share->threads(), kSize, kSize, 1});
      seconds[i].push_back(measured[i].Measure(*share, NumericMode::kFast, 1, choice, 0.05));
    }
  }
  const auto median = [&](size_t i) { return SpreadOf(seconds[i]).median; };
  report
      .Add(Aspect::kSpeed, "", "product of one row, [4096, 4096]: mixed over F16", median(0) / median(3), "x")
      .AtLeast(3.0)
      .Paper("1.74 end to end over F16 (Llama2-7B, GPU)");
  report.Add(Aspect::kSpeed, "", "the same over Q4_0", median(1) / median(3), "x").AtLeast(1.2);
  report.Add(Aspect::kSpeed, "", "what 0.5 % of outliers cost", 100.0 * (median(3) / median(2) - 1.0), "%")
      .AtMost(10.0)
      .Paper("SpQR's 1.5 % cost over 30 %");
  return {};
}

}  // namespace

Result<void> ReproduceMixed2Bit(ExperimentContext& context, Report& report) {
  HONE_TRY(report.models, context.Models(kModels));
  HONE_TRY(const ExperimentContext::Text text, context.ReadText());
  report.text = text.name;
  HONE_CHECK_OK(MeasureSpeed(context, report));
  for (const std::string& model : report.models) {
    HONE_TRY(const std::string path, ResolveModel(model));
    HONE_TRY(const Quality quality, MeasureQuality(context, path, text));
    ReportQuality(quality, model, report);
  }
  report.notes.emplace_back(
      "The 4-bit files' values lie on a grid of 16 levels already: 4-bit bands are flattered.");
  report.notes.emplace_back(
      "No GPU: asynchronous dequantization is the processor's out-of-order execution here.");
  return {};
}

}  // namespace hone
