// Every family against transformers in float32, from a Hugging Face folder and from a GGUF file of the same
// weights. Data: tests/golden/models/make_tiny_models.py.
#include <algorithm>
#include <cmath>

#include "core/formats/safetensors/safetensors_folder.h"
#include "core/kernels/reference/dequantize.h"
#include "model_fixture.h"

namespace hone::testing {
namespace {

struct Reference {
  std::vector<TokenId> tokens;
  std::vector<float> logits;
};

Reference ReadReference(const std::string& name) {
  Reference reference;
  auto file = SafetensorsFolder::Open(TinyModel(name) + "/reference.safetensors");
  if (!file) {
    ADD_FAILURE() << file.error().message;
    return reference;
  }
  const FileTensor& tokens = *file->FindTensor("tokens");
  const FileTensor& logits = *file->FindTensor("logits");
  reference.tokens.resize(static_cast<size_t>(tokens.columns()));
  std::memcpy(reference.tokens.data(), tokens.bytes().data(), tokens.size);
  reference.logits.resize(logits.size / sizeof(float));
  std::memcpy(reference.logits.data(), logits.bytes().data(), logits.size);
  return reference;
}

float WorstDifference(const std::string& path, const Reference& reference, NumericMode mode, int64_t chunk) {
  TestEngine engine(path, mode);
  if (engine.runner == nullptr) return INFINITY;
  const auto logits = engine.AllLogits(reference.tokens, chunk);
  float worst = 0.0f;
  size_t at = 0;
  for (const auto& row : logits) {
    for (const float value : row) worst = std::max(worst, std::abs(value - reference.logits[at++]));
  }
  EXPECT_EQ(at, reference.logits.size());
  return worst;
}

class FamilyParity : public ::testing::TestWithParam<const char*> {};

// The tolerance is a float32 forward pass's own rounding on logits of size 5: the reference sums in other
// orders.
constexpr float kTolerance = 1e-4f;

TEST_P(FamilyParity, FolderGivesTheReferenceLogits) {
  const Reference reference = ReadReference(GetParam());
  EXPECT_LT(WorstDifference(TinyModel(GetParam()), reference, NumericMode::kExact, 512), kTolerance);
  EXPECT_LT(WorstDifference(TinyModel(GetParam()), reference, NumericMode::kExact, 7), kTolerance);
}

TEST_P(FamilyParity, GgufGivesTheReferenceLogits) {
  // A Mistral file in GGUF does not say its window.
  if (std::string(GetParam()) == "mistral-window") return;
  const Reference reference = ReadReference(GetParam());
  EXPECT_LT(WorstDifference(TinyModel(GetParam()) + ".gguf", reference, NumericMode::kExact, 512),
            kTolerance);
  EXPECT_LT(WorstDifference(TinyModel(GetParam()) + ".gguf", reference, NumericMode::kFast, 512), 0.1f);
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyParity,
                         ::testing::Values("llama", "llama3-scaled", "llama-linear", "mistral-window",
                                           "qwen2", "qwen2-yarn", "qwen3", "gemma3", "phi3-short",
                                           "phi3-long", "phi3-partial"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace hone::testing
