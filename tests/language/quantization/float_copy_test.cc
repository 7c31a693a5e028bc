#include "language/quantization/float_copy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/gguf/random_model.h"
#include "core/kernels/reference/dequantize.h"
#include "core/tensor/half.h"
#include "scratch_folder.h"

namespace hone {
namespace {

std::vector<float> Values(const FileTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  const int64_t row_bytes = RowBytes(tensor.type, tensor.columns());
  for (int64_t row = 0; row < tensor.rows(); ++row) {
    Dequantize(tensor.type, tensor.bytes().data() + row * row_bytes, tensor.columns(),
               values.data() + row * tensor.columns());
  }
  return values;
}

TEST(FloatCopy, HoldsTheValuesOfTheQuantizedFile) {
  const ScratchFolder folder;
  const std::string q4 = folder.Path("q4.gguf");
  ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kQ4_0, 3, q4));
  for (const DType type : {DType::kF32, DType::kF16}) {
    const std::string copy = folder.Path("copy.gguf");
    uint64_t told = 0;
    const auto written = WriteFloatCopy(q4, type, copy, [&](uint64_t done, uint64_t) { told = done; });
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(written->out_of_range, 0);
    EXPECT_EQ(told, written->bytes);
    const GgufFile from = *GgufFile::Open(q4);
    const GgufFile to = *GgufFile::Open(copy);
    ASSERT_EQ(from.tensors().size(), to.tensors().size());
    int64_t matrices = 0;
    for (const FileTensor& tensor : from.tensors()) {
      const FileTensor* other = to.FindTensor(tensor.name);
      ASSERT_NE(other, nullptr) << tensor.name;
      EXPECT_EQ(other->shape, tensor.shape);
      EXPECT_EQ(other->type, tensor.type == DType::kQ4_0 ? type : tensor.type) << tensor.name;
      matrices += tensor.type == DType::kQ4_0 ? 1 : 0;
      std::vector<float> expected = Values(tensor);
      if (other->type == DType::kF16) {
        for (float& value : expected) value = F16ToF32(F32ToF16(value));
      }
      const std::vector<float> found = Values(*other);
      EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.size() * sizeof(float)), 0)
          << tensor.name;
    }
    EXPECT_EQ(written->matrices, matrices);
    EXPECT_GT(matrices, 5);
    EXPECT_EQ(*to.Integer("general.file_type"), type == DType::kF16 ? 1 : 0);
    EXPECT_EQ(*to.Text("general.architecture"), "llama");
  }
}

TEST(FloatCopy, RefusesAnotherTypeAndAFileThatIsNoModel) {
  const ScratchFolder folder;
  EXPECT_FALSE(WriteFloatCopy("absent", DType::kQ8_0, folder.Path("out")));
  EXPECT_FALSE(WriteFloatCopy(folder.Write("bad", "no model"), DType::kF16, folder.Path("out")));
}

}  // namespace
}  // namespace hone
