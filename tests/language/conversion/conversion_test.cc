#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/gguf/random_model.h"
#include "core/formats/safetensors/safetensors_folder.h"
#include "core/kernels/reference/dequantize.h"
#include "language/conversion/folder_writer.h"
#include "language/conversion/model_source.h"
#include "language/models/runner.h"
#include "language/quantization/quantize_model.h"
#include "scratch_folder.h"

namespace hone {
namespace {

std::string Golden(std::string_view name) {
  return HONE_SOURCE_DIR "/tests/golden/models/" + std::string(name);
}

// Logits of every one of some tokens.
std::vector<float> Logits(const std::string& path, int tokens = 40) {
  Engine engine(2);
  const auto model = LoadModel(path, engine);
  EXPECT_TRUE(model) << model.error().message;
  if (!model) return {};
  RunnerOptions options;
  options.mode = NumericMode::kExact;
  const auto runner = std::move(*Runner::Create(*model, engine, options));
  KvCache cache = (*model)->MakeCache(PagePool::Create(engine.accounts.kv), NumericMode::kExact);
  Batch batch;
  for (int i = 0; i < tokens; ++i) {
    Row row;
    row.token = (i * 31 + 7) % 250;
    row.position = {i, i, i};
    row.logits = true;
    batch.rows.push_back(row);
  }
  batch.sequences.push_back({&cache, 0, tokens});
  std::vector<float> logits;
  EXPECT_TRUE(runner->Run(
      batch, [&](int64_t, std::span<float> v) { logits.insert(logits.end(), v.begin(), v.end()); }));
  return logits;
}

Result<QuantizeReport> ToGguf(const std::string& from, std::string_view type, const std::string& to) {
  HONE_TRY(const auto source, OpenModelSource(from, to + ".vocabulary"));
  QuantizeOptions options;
  options.mix = *FindTypeMix(type);
  ComputePool pool(2);
  const auto share = pool.MakeShare();
  return QuantizeModel(*source, options, to, *share);
}

float LargestDifference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = a.size() == b.size() ? 0.0f : 1e9f;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) largest = std::max(largest, std::fabs(a[i] - b[i]));
  return largest;
}

class ConvertedFamily : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Golden, ConvertedFamily,
                         testing::Values("llama", "llama3-scaled", "llama-linear", "qwen2", "qwen2-yarn",
                                         "qwen3", "gemma3", "phi3-partial", "phi3-long", "phi3-short"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(ConvertedFamily, AFolderAsGgufGivesTheSameLogits) {
  const ScratchFolder folder;
  const std::string to = folder.Path("model.gguf");
  const auto report = ToGguf(Golden(GetParam()), "F32", to);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "scratch was left";
  EXPECT_LT(LargestDifference(Logits(Golden(GetParam())), Logits(to)), 2e-5f);
}

TEST_P(ConvertedFamily, AndBackAsAFolder) {
  if (std::string_view(GetParam()) == "llama3-scaled")
    GTEST_SKIP() << "its factors stand in a vector of the file";
  const ScratchFolder folder;
  const std::string gguf = folder.Path("model.gguf"), back = folder.Path("back");
  ASSERT_TRUE(ToGguf(Golden(GetParam()), "F32", gguf));
  const auto report = WriteModelFolder(gguf, DType::kF32, back);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_LT(LargestDifference(Logits(Golden(GetParam())), Logits(back)), 2e-5f);
  const auto old_names = SafetensorsFolder::Open(Golden(GetParam()));
  const auto new_names = SafetensorsFolder::Open(back);
  ASSERT_TRUE(old_names && new_names);
  std::vector<std::string> a, b;
  for (const FileTensor& tensor : old_names->tensors()) a.push_back(tensor.name);
  for (const FileTensor& tensor : new_names->tensors()) b.push_back(tensor.name);
  std::ranges::sort(a);
  std::ranges::sort(b);
  EXPECT_EQ(a, b);
}

TEST(Conversion, AFolderQuantizesAtOnce) {
  const ScratchFolder folder;
  const std::string to = folder.Path("model.gguf");
  const auto report = ToGguf(Golden("llama"), "Q8_0", to);
  ASSERT_TRUE(report) << report.error().message;
  const std::vector<float> before = Logits(Golden("llama")), after = Logits(to);
  double off = 0, size = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    off += std::pow(before[i] - after[i], 2.0);
    size += std::pow(before[i], 2.0);
  }
  EXPECT_LT(std::sqrt(off / size), 0.05);
  EXPECT_GT(off, 0.0);
}

TEST(Conversion, AGgufThatIsQuantizedBecomesAFolderOfItsValues) {
  const ScratchFolder folder;
  const std::string gguf = folder.Path("q4.gguf"), out = folder.Path("out");
  ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kQ4_0, 3, gguf));
  const auto report = WriteModelFolder(gguf, DType::kF32, out);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_LT(LargestDifference(Logits(gguf), Logits(out)), 1e-5f);
  EXPECT_FALSE(WriteModelFolder(gguf, DType::kF32, out)) << "it exists already";
  EXPECT_FALSE(WriteModelFolder(gguf, DType::kQ8_0, folder.Path("other")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
}

TEST(Conversion, RefusesAFolderThatIsNoModel) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder.Path("empty"));
  EXPECT_EQ(OpenModelSource(folder.Path("empty"), folder.Path("s")).error().kind, ErrorKind::kBadInput);
  std::filesystem::copy(Golden("qwen2"), folder.Path("cut"));
  std::filesystem::resize_file(folder.Path("cut/model.safetensors"), 1000);
  EXPECT_EQ(OpenModelSource(folder.Path("cut"), folder.Path("s")).error().kind, ErrorKind::kBadInput);
}

}  // namespace
}  // namespace hone
