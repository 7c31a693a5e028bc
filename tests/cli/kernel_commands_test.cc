// hone tune kernels and hone bench kernels.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/program.h"
#include "scratch_folder.h"

namespace hone {
namespace {

using Json = nlohmann::json;

TEST(TuneKernels, WritesAPlanThatChangesNoToken) {
  const ScratchFolder folder;
  const std::string model = folder.Path("tiny.gguf"), plan = folder.Path("plan");
  ASSERT_EQ(RunHone("random-model --like llama-tiny --type q4_0 " + model).exit_code, 0);
  const std::string tune = "tune kernels " + model + " --activation-rows 1,8 --rounds 1 --json -o " + plan;
  const ProgramRun first = RunHone(tune + " --threads 1");
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const Json tuned = Json::parse(first.out);
  ASSERT_GT(tuned["cells"].size(), 2u);
  EXPECT_EQ(tuned["meter"], "measured");
  for (const Json& cell : tuned["cells"]) EXPECT_GT(cell["seconds"].get<double>(), 0.0) << cell;
  // A second run with other threads adds its cells.
  ASSERT_EQ(RunHone(tune + " --threads 2").exit_code, 0);
  const Json part = Json::parse(ReadWholeFile(plan + "/plan.json"))["parts"]["kernels"];
  EXPECT_EQ(part["settings"]["cells"].size(), 2 * tuned["cells"].size());

  const std::string run =
      "run " + model + " --tokens-in '5 6 7 8 9' --raw --max-tokens 8 --temperature 0 --json";
  const ProgramRun plain = RunHone(run), planned = RunHone(run + " --plan " + plan);
  ASSERT_EQ(planned.exit_code, 0) << planned.err;
  EXPECT_EQ(Json::parse(planned.out)["tokens"], Json::parse(plain.out)["tokens"]);
}

TEST(TuneKernels, RefusesAPlanWithAKernelThatDoesNotExist) {
  const ScratchFolder folder;
  const std::string model = folder.Path("tiny.gguf"), plan = folder.Path("plan");
  ASSERT_EQ(RunHone("random-model --like llama-tiny --type q4_0 " + model).exit_code, 0);
  ASSERT_EQ(RunHone("tune kernels " + model + " --activation-rows 1 --rounds 1 -o " + plan).exit_code, 0);
  std::string text = ReadWholeFile(plan + "/plan.json");
  const size_t at = text.find("matvec");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 6, "magic!");
  std::ofstream(plan + "/plan.json") << text;
  const ProgramRun run = RunHone("run " + model + " --prompt a --raw --plan " + plan);
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_NE(run.err.find("cells[0].kernel: found \"magic!\", expected one of matvec, flat, panels"),
            std::string::npos)
      << run.err;
}

TEST(BenchKernels, MeasuresEveryKindBesideItsLimit) {
  const ProgramRun run = RunHone("bench kernels --formats q4_0,f16 --rounds 1 --threads 1 --json");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json json = Json::parse(run.out);
  EXPECT_GT(json["limits"]["byte_dots_per_second"].get<double>(), 0.0);
  std::set<std::string> limits;
  for (const Json& kernel : json["kernels"]) {
    EXPECT_GT(kernel["fraction"].get<double>(), 0.0) << kernel;
    limits.insert(kernel["limit"].get<std::string>());
  }
  EXPECT_EQ(limits, (std::set<std::string>{"byte dots", "cache", "fused multiply-adds", "memory"}));
}

TEST(BenchKernels, RefusesWhatItDoesNotKnow) {
  const ProgramRun unknown = RunHone("bench kernels --formats q9");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.err.find("unknown weight format q9"), std::string::npos) << unknown.err;
  const ProgramRun no_ggml = RunHone("bench kernels --ggml /nowhere");
  EXPECT_EQ(no_ggml.exit_code, 3);
  EXPECT_NE(no_ggml.err.find("/nowhere: ggml: no ggml_init in its libraries"), std::string::npos)
      << no_ggml.err;
  const ProgramRun nothing = RunHone("bench");
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_NE(nothing.err.find("MODEL is missing"), std::string::npos) << nothing.err;
}

TEST(BenchKernels, ShowsAnExampleOfItsOwn) {
  const ProgramRun help = RunHone("bench kernels --help");
  EXPECT_NE(help.out.find("Example: hone bench kernels"), std::string::npos) << help.out;
}

// Names a folder of llama.cpp's libraries where there is one.
TEST(BenchKernels, MeasuresGgmlInTheSameRun) {
  const char* folder = std::getenv("HONE_GGML");
  if (folder == nullptr) GTEST_SKIP() << "set HONE_GGML to the folder of libggml-base.so and libggml-cpu.so";
  const ProgramRun run =
      RunHone(std::string("bench kernels --formats q4_0 --rounds 1 --json --ggml ") + folder);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  int measured = 0;
  const Json json = Json::parse(run.out);
  for (const Json& kernel : json["kernels"]) {
    if (!kernel.contains("peer_ratios") || !kernel["peer_ratios"].contains("ggml")) continue;
    EXPECT_GT(kernel["peer_ratios"]["ggml"].get<double>(), 0.0);
    ++measured;
  }
  EXPECT_EQ(measured, 6) << "three products and three of attention";
}

}  // namespace
}  // namespace hone
