#include "language/quantization/methods.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/gguf/random_model.h"
#include "core/kernels/reference/dequantize.h"
#include "language/models/runner.h"
#include "scratch_folder.h"

namespace hone {
namespace {

std::string Text() {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += "Line " + std::to_string(i * 37 % 101) +
            " of a text that no model has read, with words and numbers. ";
  return text;
}

CalibrationSettings Calibration() {
  CalibrationSettings settings;
  settings.text = Text();
  settings.text_name = "text";
  settings.window = 128;
  settings.windows = 8;
  settings.threads = 2;
  return settings;
}

// Logits of the last of some tokens of the text.
std::vector<float> Logits(const std::string& path) {
  Engine engine(2);
  const auto model = *LoadModel(path, engine);
  RunnerOptions options;
  options.mode = NumericMode::kExact;
  const auto runner = std::move(*Runner::Create(model, engine, options));
  KvCache cache = model->MakeCache(PagePool::Create(engine.accounts.kv), NumericMode::kExact);
  Batch batch;
  const std::vector<TokenId> tokens = model->tokenizer().EncodeText(Text().substr(0, 120)).tokens;
  for (size_t i = 0; i < tokens.size(); ++i) {
    Row row;
    row.token = tokens[i];
    row.position = {static_cast<int32_t>(i), static_cast<int32_t>(i), static_cast<int32_t>(i)};
    row.logits = true;
    batch.rows.push_back(row);
  }
  batch.sequences.push_back({&cache, 0, static_cast<int64_t>(tokens.size())});
  std::vector<float> logits;
  EXPECT_TRUE(runner->Run(batch, [&](int64_t, std::span<float> values) {
    logits.insert(logits.end(), values.begin(), values.end());
  }));
  return logits;
}

double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  double off = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    off += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2.0);
    size += std::pow(static_cast<double>(a[i]), 2.0);
  }
  return std::sqrt(off / size);
}

class MethodsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kF32, 3, from_)); }

  Result<QuantizeReport> Quantize(QuantizeMethod method, std::string_view type, const std::string& to) {
    HONE_TRY(auto source, OpenModelSource(from_));
    QuantizeOptions options;
    options.mix = *FindTypeMix(type);
    const bool text = method != QuantizeMethod::kRtn && method != QuantizeMethod::kSearch;
    HONE_TRY(const auto prepared, PrepareMethod(method, from_, std::move(source), std::move(options),
                                                text ? Calibration() : CalibrationSettings()));
    ComputePool pool(2);
    const auto share = pool.MakeShare();
    return QuantizeModel(prepared->source(), prepared->options(), to, *share);
  }

  ScratchFolder folder_;
  std::string from_ = folder_.Path("f32.gguf");
};

TEST_F(MethodsTest, EveryMethodWritesAModelThatStaysNearItsSource) {
  const std::vector<float> logits = Logits(from_);
  std::map<QuantizeMethod, double> distances;
  for (const MethodInfo& method : QuantizeMethods()) {
    const std::string to = folder_.Path("out.gguf");
    const auto report = Quantize(method.method, "Q3_K_S", to);
    ASSERT_TRUE(report) << method.name << ": " << report.error().message;
    EXPECT_EQ(*GgufFile::Open(to)->Text("hone.quantize.method"), method.name);
    distances[method.method] = Distance(logits, Logits(to));
    RecordProperty(std::string(method.name), std::to_string(distances[method.method]));
    EXPECT_LT(distances[method.method], 0.7) << method.name;
    std::filesystem::remove(to);
  }
  // On the text that they were calibrated on.
  EXPECT_LT(distances[QuantizeMethod::kSearch], distances[QuantizeMethod::kRtn]);
  EXPECT_LT(distances[QuantizeMethod::kGptq], 0.8 * distances[QuantizeMethod::kSearch]);
}

// Scales alone change nothing but roundings: what is divided out of a norm is multiplied into a matrix.
TEST_F(MethodsTest, ScalesLeaveTheModelAsItWas) {
  const std::vector<float> logits = Logits(from_);
  for (const QuantizeMethod method : {QuantizeMethod::kAwq, QuantizeMethod::kSmoothQuant}) {
    const std::string to = folder_.Path("out.gguf");
    // The scales are those for Q2_K, the file is written in F32.
    auto source = OpenModelSource(from_);
    QuantizeOptions options;
    options.mix = *FindTypeMix("Q2_K");
    const auto prepared = PrepareMethod(method, from_, std::move(*source), options, Calibration());
    ASSERT_TRUE(prepared) << prepared.error().message;
    EXPECT_NE(&(*prepared)->source(), nullptr);
    QuantizeOptions floats;
    floats.mix = *FindTypeMix("F32");
    ComputePool pool(2);
    const auto share = pool.MakeShare();
    ASSERT_TRUE(QuantizeModel((*prepared)->source(), floats, to, *share));
    EXPECT_LT(Distance(logits, Logits(to)), 1e-5);
    const GgufFile file = *GgufFile::Open(to), before = *GgufFile::Open(from_);
    std::vector<float> norm(256), old(256);
    Dequantize(DType::kF32, file.FindTensor("blk.0.attn_norm.weight")->bytes().data(), 256, norm.data());
    Dequantize(DType::kF32, before.FindTensor("blk.0.attn_norm.weight")->bytes().data(), 256, old.data());
    EXPECT_TRUE(method != QuantizeMethod::kSmoothQuant || norm != old) << "no scale was moved";
  }
}

TEST_F(MethodsTest, AskForATextOrRefuseOne) {
  const auto prepare = [&](QuantizeMethod method, CalibrationSettings settings) {
    QuantizeOptions options;
    options.mix = *FindTypeMix("Q4_0");
    return PrepareMethod(method, from_, std::move(*OpenModelSource(from_)), options, std::move(settings));
  };
  EXPECT_EQ(prepare(QuantizeMethod::kGptq, {}).error().message,
            "quantize: --method gptq calibrates on a text (--text FILE)");
  EXPECT_EQ(prepare(QuantizeMethod::kRtn, Calibration()).error().kind, ErrorKind::kUsage);
  CalibrationSettings brief = Calibration();
  brief.text = "brief";
  const auto refused = prepare(QuantizeMethod::kImportance, brief);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(FindQuantizeMethod("gptqq").error().kind, ErrorKind::kUsage);
}

TEST_F(MethodsTest, ImportanceFilesGoRound) {
  QuantizeOptions options;
  options.mix = *FindTypeMix("Q2_K_S");
  const auto prepared = PrepareMethod(QuantizeMethod::kImportance, from_, std::move(*OpenModelSource(from_)),
                                      options, Calibration());
  ASSERT_TRUE(prepared) << prepared.error().message;
  const Importance& importance = (*prepared)->importance();
  EXPECT_EQ(importance.size(), 14u);
  const std::string path = folder_.Path("importance.gguf");
  ASSERT_TRUE(WriteImportanceFile(importance, (*prepared)->calibration_tokens(), 128, "text", path));
  const auto read = ReadImportanceFile(path);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), importance.size());
  for (const auto& [name, means] : importance) {
    const std::vector<float>& found = read->at(name);
    ASSERT_EQ(found.size(), means.size());
    for (size_t i = 0; i < means.size(); ++i) ASSERT_NEAR(found[i], means[i], 1e-5f * means[i]);
  }
  EXPECT_FALSE(ReadImportanceFile(from_));
}

}  // namespace
}  // namespace hone
