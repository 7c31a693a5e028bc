#include "language/models/matmul_plan.h"

#include <gtest/gtest.h>

#include "core/kernels/cpu/processor_key.h"

namespace hone {
namespace {

MatmulTable SomeTable() {
  MatmulTable table;
  table.Set({DType::kQ4_K, ActivationForm::kInt8, 2, 640, 2048, 8}, {MatmulKernel::kFlat, 64});
  table.Set({DType::kF16, ActivationForm::kFloat, 1, 49152, 576, 1}, {MatmulKernel::kMatvec, 4096});
  return table;
}

TEST(MatmulTablePart, ComesBackAsItWas) {
  const PlanPart part = MatmulTablePart(SomeTable());
  EXPECT_EQ(part.made_for.at(PlanKey::kProcessor), ProcessorKey());
  const auto read = ReadMatmulTable(part);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->cells().size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(read->cells()[i].key, SomeTable().cells()[i].key);
    EXPECT_EQ(read->cells()[i].choice, SomeTable().cells()[i].choice);
  }
}

TEST(MatmulTablePart, IsRefusedWithItsFieldWhereItIsWrong) {
  const std::string good = MatmulTablePart(SomeTable()).settings;
  const auto refusal = [&](const std::string& from, const std::string& to) {
    PlanPart part;
    part.source = "p/plan.json";
    part.settings = good;
    part.settings.replace(part.settings.find(from), from.size(), to);
    const auto read = ReadMatmulTable(part);
    return read ? "read" : read.error().message;
  };
  EXPECT_EQ(
      refusal("\"rows_per_task\":4096", "\"rows_per_task\":40"),
      "p/plan.json: parts.kernels.settings.cells[0].rows_per_task: found 40, expected a multiple of 16");
  EXPECT_NE(refusal("\"columns\":576", "\"columns\":-1").find("cells[0].columns: found -1"),
            std::string::npos);
  EXPECT_NE(refusal("\"threads\":2", "\"threads\":1e300").find("cells[1].threads"), std::string::npos);
  EXPECT_NE(refusal("\"F16\"", "\"Q9\"").find("cells[0].format: found \"Q9\""), std::string::npos);
  EXPECT_NE(refusal("\"format\"", "\"fromat\"").find("cells[0].format: found nothing"), std::string::npos);
  EXPECT_NE(refusal("\"cells\"", "\"sells\"").find("cells: expected a list"), std::string::npos);
  EXPECT_NE(refusal("[{", "[7,{").find("cells[0]: expected an object"), std::string::npos);
}

}  // namespace
}  // namespace hone
