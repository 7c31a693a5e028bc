// Instances that PyPI's jsonschema judged (tests/golden/constraints/make_schema_cases.py).
#include <fstream>
#include <nlohmann/json.hpp>

#include "constraint_fixture.h"

namespace hone {
namespace {

using testing::Reader;

TEST(JsonSchema, AgreesWithPythonsValidator) {
  std::ifstream file(HONE_SOURCE_DIR "/tests/golden/constraints/schema_cases.json");
  const auto cases = nlohmann::ordered_json::parse(file);
  int64_t valid = 0, invalid = 0;
  for (const auto& one : cases) {
    const Reader reader(CompileJsonSchema(one["schema"]));
    for (const auto& text : one["valid"]) {
      EXPECT_TRUE(reader.Accepts(text.get<std::string>())) << one["schema"] << "\n  refuses " << text;
      ++valid;
    }
    for (const auto& text : one["invalid"]) {
      EXPECT_FALSE(reader.Accepts(text.get<std::string>())) << one["schema"] << "\n  takes " << text;
      ++invalid;
    }
  }
  EXPECT_GT(valid, 200);
  EXPECT_GT(invalid, 1000);
}

}  // namespace
}  // namespace hone
