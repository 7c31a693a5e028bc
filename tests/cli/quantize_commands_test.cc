// hone quantize and hone convert, as programs.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "scratch_folder.h"

namespace hone {
namespace {

using Json = nlohmann::json;

class QuantizeCommand : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(RunHone("random-model --like llama-tiny --type f16 " + model_).exit_code, 0);
    std::ofstream text(text_);
    for (int i = 0; i < 300; ++i)
      text << "Sentence " << i * 17 % 89 << " of a text to calibrate on, short and plain. ";
  }
  std::string Out(const char* name = "out.gguf") const { return folder_.Path(name); }

  ScratchFolder folder_;
  std::string model_ = folder_.Path("f16.gguf");
  std::string text_ = folder_.Path("text.txt");
};

TEST_F(QuantizeCommand, WritesAModelThatRuns) {
  const auto run = RunHone("quantize " + model_ + " " + Out() + " --type q4_k_m --json");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json json = Json::parse(run.out);
  EXPECT_GT(json["bits_per_weight"].get<double>(), 4.5);
  EXPECT_LT(json["bits_per_weight"].get<double>(), 7.0);
  EXPECT_EQ(json["beyond_f16"], 0);
  EXPECT_TRUE(json["substitutes"].empty());
  const auto inspected = Json::parse(RunHone("inspect " + Out() + " --json").out);
  EXPECT_NEAR(inspected["total"]["bits_per_weight"].get<double>(), json["bits_per_weight"].get<double>(),
              1e-6);
  EXPECT_EQ(RunHone("run " + Out() + " --tokens-in '1 2 3' --max-tokens 4 --ignore-eos --json").exit_code, 0);
}

TEST_F(QuantizeCommand, CalibratesAndKeepsWhatItFound) {
  const std::string calibrate = " --window 64 --windows 6 --text " + text_;
  const auto run = RunHone("quantize " + model_ + " " + Out() + " --type q2_k_s --method importance" +
                           calibrate + " --save-importance " + Out("imatrix.gguf"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.out.find("bits a weight"), std::string::npos) << run.out;
  const auto again = RunHone("quantize " + model_ + " " + Out("again.gguf") +
                             " --type q2_k_s --method importance --importance " + Out("imatrix.gguf"));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(std::filesystem::file_size(Out()), std::filesystem::file_size(Out("again.gguf")));
  EXPECT_EQ(
      RunHone("quantize " + model_ + " " + Out("gptq.gguf") + " --type q3_k_s --method gptq" + calibrate)
          .exit_code,
      0);
}

TEST_F(QuantizeCommand, RefusesInOneLine) {
  const struct {
    std::string arguments;
    int exit_code;
    std::string says;
  } kRefusals[] = {
      {model_ + " " + Out() + " --type q4_k_x", 2, "did you mean"},
      {model_ + " " + Out() + " --type q4_0 --method magic", 2, "expected one of rtn search"},
      {model_ + " " + Out() + " --type q4_0 --method gptq", 2, "calibrates on a text"},
      {model_ + " " + Out() + " --type q4_0 --tensor-type nothing", 2, "expected NAME=TYPE"},
      {text_ + " " + Out() + " --type q4_0", 3, text_},
      {model_ + " " + Out() + " --type q2_k_s", 3, "no importance"},
      {model_ + " /nowhere/out.gguf --type q4_0", 1, "No such file or directory"},
  };
  for (const auto& refusal : kRefusals) {
    const auto run = RunHone("quantize " + refusal.arguments);
    EXPECT_EQ(run.exit_code, refusal.exit_code) << refusal.arguments << ": " << run.err;
    EXPECT_NE(run.err.find(refusal.says), std::string::npos) << refusal.arguments << ": " << run.err;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_FALSE(std::filesystem::exists(Out()));
  }
}

TEST_F(QuantizeCommand, ConvertsBothWays) {
  ASSERT_EQ(RunHone("convert " + model_ + " " + Out("folder")).exit_code, 0);
  const auto back = RunHone("convert " + Out("folder") + " " + Out());
  ASSERT_EQ(back.exit_code, 0) << back.err;
  const std::string run = " --tokens-in '5 6 7' --max-tokens 8 --ignore-eos --exact --json";
  const Json before = Json::parse(RunHone("run " + model_ + run).out),
             after = Json::parse(RunHone("run " + Out() + run).out);
  EXPECT_EQ(before["tokens"], after["tokens"]);
  const auto taken = RunHone("convert " + model_ + " " + Out("folder"));
  EXPECT_EQ(taken.exit_code, 1);
  EXPECT_NE(taken.err.find("it exists already"), std::string::npos) << taken.err;
}

}  // namespace
}  // namespace hone
