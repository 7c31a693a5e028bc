#include "core/kernels/device_kernels.h"

#include <gtest/gtest.h>

#include "cpu/test_shares.h"
#include "matrix_samples.h"

namespace hone {
namespace {

const DeviceKernels& Cpu() { return **FindKernels("cpu"); }

TEST(DeviceKernels, AreFoundByNameAndRefusedWithTheNamesThatThereAre) {
  EXPECT_TRUE(FindKernels("cpu"));
  const auto refused = FindKernels("cuda");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUsage);
  EXPECT_EQ(refused.error().message, "device: cuda, expected cpu: this program has kernels for no other");
}

TEST(DeviceKernels, ReadsRowsOfAMatrixAndLeavesThoseWithoutAnId) {
  const FileMatrix file = RandomMatrix(DType::kQ4_0, 40, 64, 1);
  const Packed w = Pack(file);
  const std::vector<int64_t> ids = {39, -1, 0, 17, 17, 3};
  std::vector<float> y(ids.size() * 64, 5.0f);
  test::SerialShare share(2, /*backwards=*/true);
  Cpu().ReadRows(share, w.matrix, ids, 2.0f, {y.data(), static_cast<int64_t>(ids.size()), 64});
  for (size_t i = 0; i < ids.size(); ++i) {
    for (size_t k = 0; k < 64; ++k) {
      const float expected = ids[i] < 0 ? 5.0f : 2.0f * file.values[static_cast<size_t>(ids[i]) * 64 + k];
      EXPECT_EQ(y[i * 64 + k], expected);
    }
  }
}

// Three products side by side, one with a bias, on any cut of the work.
TEST(DeviceKernels, MultipliesSideBySideWithTheBitsOfEachProductAlone) {
  constexpr int64_t kRows = 5, kColumns = 64;
  const Packed a = Pack(RandomMatrix(DType::kQ4_0, 100, kColumns, 1));
  const Packed b = Pack(RandomMatrix(DType::kQ8_0, 33, kColumns, 2));
  const std::vector<float> x = RandomActivations(kRows, kColumns, 3);
  std::vector<float> bias(100);
  for (size_t n = 0; n < bias.size(); ++n) bias[n] = static_cast<float>(n);
  test::SerialShare share(3, /*backwards=*/true);

  std::vector<std::byte> prepared(static_cast<size_t>(PreparedBytes(ActivationForm::kInt8, kRows, kColumns)));
  Cpu().Prepare(share, ActivationForm::kInt8, {x.data(), kRows, kColumns}, prepared.data());
  const Activations activations{ActivationForm::kInt8, kRows, kColumns, prepared.data()};
  std::vector<float> y1(kRows * 100), y2(kRows * 33), y3(kRows * 33);
  const Product products[] = {
      {a.matrix, activations, bias, {y1.data(), kRows, 100}, {MatmulKernel::kFlat, 16}},
      {b.matrix, activations, {}, {y2.data(), kRows, 33}, {MatmulKernel::kMatvec, 32}},
      {b.matrix, activations, {}, {y3.data(), kRows, 33}, {MatmulKernel::kPanels, 48}}};
  Cpu().Multiply(share, products);

  const std::vector<float> plain1 = MultiplyAll(a.matrix, ActivationForm::kInt8, x, kRows);
  const std::vector<float> plain2 = MultiplyAll(b.matrix, ActivationForm::kInt8, x, kRows);
  for (size_t i = 0; i < y1.size(); ++i) EXPECT_EQ(y1[i], plain1[i] + bias[i % 100]);
  EXPECT_EQ(y2, plain2);
  EXPECT_EQ(y3, plain2);

  const std::vector<int32_t> ids = {99, 0, 16, 41};
  std::vector<float> chosen(kRows * ids.size());
  Product some = products[0];
  some.y = {chosen.data(), kRows, static_cast<int64_t>(ids.size())};
  Cpu().MultiplyRows(share, some, ids);
  for (size_t m = 0; m < kRows; ++m) {
    for (size_t i = 0; i < ids.size(); ++i)
      EXPECT_EQ(chosen[m * ids.size() + i], y1[m * 100 + static_cast<size_t>(ids[i])]);
  }
}

TEST(DeviceKernels, CopiesRowsForwardWithinOneMatrix) {
  std::vector<float> x = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4};
  const MatrixView<float> view(x.data(), 5, 2);
  Cpu().CopyRows(view, std::vector<int64_t>{1, 3, 4}, view, std::vector<int64_t>{0, 1, 2});
  EXPECT_EQ(std::vector<float>(x.begin(), x.begin() + 6), (std::vector<float>{1, 1, 3, 3, 4, 4}));
}

TEST(DeviceKernels, FindsTheRowThatIsNotFinite) {
  std::vector<float> x(20 * 3, 1.0f);
  test::SerialShare share(2);
  const MatrixView<const float> view(x.data(), 20, 3);
  EXPECT_EQ(Cpu().FindNotFinite(share, view), -1);
  x[17 * 3 + 1] = std::nanf("");
  EXPECT_EQ(Cpu().FindNotFinite(share, view), 17);
}

TEST(ForRows, CoversEveryRowOnceAndForksNothingForFew) {
  for (const int64_t rows : {0, 1, 4, 5, 8, 9, 100, 1001}) {
    test::SerialShare share(3, /*backwards=*/true);
    std::vector<int> visits(static_cast<size_t>(rows));
    ForRows(share, rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
    });
    EXPECT_EQ(visits, std::vector<int>(static_cast<size_t>(rows), 1));
    EXPECT_EQ(share.loops, rows > 4 ? 1 : 0);
  }
}

}  // namespace
}  // namespace hone
