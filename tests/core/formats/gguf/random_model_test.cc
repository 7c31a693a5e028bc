#include "core/formats/gguf/random_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <set>

#include "core/formats/gguf/gguf_bytes.h"
#include "core/formats/gguf/gguf_file.h"
#include "core/kernels/reference/dequantize.h"

namespace hone {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class RandomModel : public testing::TestWithParam<DType> {};

TEST_P(RandomModel, HasWeightsOfTheWantedDeviationAroundZero) {
  const ScratchFolder folder;
  const std::string path = folder.Path("random.gguf");
  ASSERT_TRUE(WriteRandomModel("llama-tiny", GetParam(), 1, path));
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file) << file.error().message;
  for (const char* name : {"blk.1.ffn_down.weight", "token_embd.weight"}) {
    const FileTensor* tensor = file->FindTensor(name);
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->type, GetParam());
    const int64_t columns = tensor->columns();
    std::vector<float> row(columns);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < tensor->rows(); ++i) {
      Dequantize(tensor->type, tensor->bytes().data() + i * RowBytes(tensor->type, columns), columns,
                 row.data());
      for (const float weight : row) {
        sum += weight;
        squares += static_cast<double>(weight) * weight;
      }
    }
    const auto count = static_cast<double>(tensor->elements());
    const double wanted = 1 / std::sqrt(static_cast<double>(columns));
    EXPECT_NEAR(std::sqrt(squares / count) / wanted, 1.0, 0.05);
    EXPECT_NEAR(sum / count / wanted, 0.0, 0.02);
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, RandomModel,
                         testing::ValuesIn(RandomModelTypes().begin(), RandomModelTypes().end()),
                         [](const auto& tested) { return std::string(Info(tested.param).name); });

TEST(RandomModel, IsAFunctionOfItsSeed) {
  const ScratchFolder folder;
  ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kQ4_0, 1, folder.Path("a")));
  ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kQ4_0, 1, folder.Path("b")));
  ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kQ4_0, 2, folder.Path("c")));
  EXPECT_EQ(ReadAll(folder.Path("a")), ReadAll(folder.Path("b")));
  EXPECT_NE(ReadAll(folder.Path("a")), ReadAll(folder.Path("c")));
}

TEST(RandomModel, HasACompleteVocabularyWhoseMergesAreTokens) {
  const ScratchFolder folder;
  for (const char* like : {"llama-tiny", "llama-160m"}) {
    const std::string path = folder.Path(like);
    ASSERT_TRUE(WriteRandomModel(like, DType::kQ2_K, 1, path));
    const auto file = GgufFile::Open(path);
    ASSERT_TRUE(file) << file.error().message;
    const auto tokens = *file->Texts("tokenizer.ggml.tokens").value();
    const std::set<std::string_view> known(tokens.begin(), tokens.end());
    EXPECT_EQ(static_cast<int64_t>(tokens.size()), file->FindTensor("token_embd.weight")->shape[0]);
    EXPECT_EQ(known.size(), tokens.size());
    EXPECT_EQ(tokens['a'], "a");
    EXPECT_EQ(tokens[' '], "\xc4\xa0");
    EXPECT_EQ(file->Integers("tokenizer.ggml.token_type").value()->size(), tokens.size());
    const auto merges = *file->Strings("tokenizer.ggml.merges").value();
    EXPECT_EQ(merges.size(), tokens.size() - 260);
    for (const std::string_view merge : merges) {
      const size_t space = merge.find(' ');
      const std::string left(merge.substr(0, space)), right(merge.substr(space + 1));
      ASSERT_TRUE(known.contains(left) && known.contains(right) && known.contains(left + right)) << merge;
    }
    EXPECT_EQ(tokens[*file->Integer("tokenizer.ggml.eos_token_id").value()], "<|end|>");
  }
}

TEST(RandomModel, TellsItsProgressAndRefusesUnknownShapes) {
  const ScratchFolder folder;
  uint64_t last = 0, whole = 0;
  ASSERT_TRUE(
      WriteRandomModel("llama-tiny", DType::kQ4_0, 1, folder.Path("a"), [&](uint64_t done, uint64_t total) {
        EXPECT_GT(done, last);
        last = done;
        whole = total;
      }));
  EXPECT_EQ(last, whole);
  const auto unknown = WriteRandomModel("llama-9b", DType::kQ4_0, 1, folder.Path("b"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::kUsage);
  EXPECT_FALSE(WriteRandomModel("llama-tiny", DType::kI8, 1, folder.Path("b")));
}

}  // namespace
}  // namespace hone
