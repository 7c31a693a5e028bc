// hone explain, techniques and reproduce.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "scratch_folder.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

TEST(ExplainCommand, WritesATableAnObjectAndAPicture) {
  const ScratchFolder folder;
  const std::string model = folder.Path("tiny.gguf");
  ASSERT_EQ(RunHone("random-model --like llama-tiny --type q4_0 " + model).exit_code, 0);
  const std::string flags = " --context 8 --prefill 16 --decode 2 --repeat 1 --threads 1";
  const ProgramRun text = RunHone("explain " + model + flags + " --svg " + folder.Path("picture.svg"));
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_NE(text.out.find("Where the time of decode goes"), std::string::npos) << text.out;
  EXPECT_TRUE(ReadWholeFile(folder.Path("picture.svg")).starts_with("<svg"));
  const ProgramRun json = RunHone("explain " + model + flags + " --json --batch 2");
  ASSERT_EQ(json.exit_code, 0) << json.err;
  const Json report = Json::parse(json.out);
  EXPECT_EQ(report["stages"][0]["sequences"], 2);
  EXPECT_GT(report["limits"]["byte_operations"].get<double>(), 0.0);
}

TEST(TechniquesCommand, ListsByStageAndExactness) {
  const Json all = Json::parse(RunHone("techniques --json").out)["techniques"];
  const Json some = Json::parse(RunHone("techniques --json --exact --stage decode").out)["techniques"];
  EXPECT_GT(all.size(), some.size());
  ASSERT_GT(some.size(), 2u);
  for (const Json& technique : some) {
    EXPECT_EQ(technique["exact"], true);
    EXPECT_NE(technique["stages"].get<std::string>().find("decode"), std::string::npos);
  }
  EXPECT_NE(RunHone("list").out.find("continuous batching"), std::string::npos);
  EXPECT_EQ(RunHone("techniques --stage lunch").exit_code, 2);
}

TEST(ReproduceCommand, ListsExperimentsAndRefusesOthers) {
  const ProgramRun list = RunHone("reproduce --list");
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_NE(list.out.find("survey-breakdown"), std::string::npos);
  const Json json = Json::parse(RunHone("reproduce --list --json").out);
  EXPECT_GE(json["experiments"].size(), 2u);
  const ProgramRun mistyped = RunHone("reproduce survey-brakdown");
  EXPECT_EQ(mistyped.exit_code, 2);
  EXPECT_NE(mistyped.err.find("did you mean survey-breakdown?"), std::string::npos) << mistyped.err;
  EXPECT_EQ(RunHone("reproduce").exit_code, 2);
}

TEST(ReproduceCommand, TellsHowToFetchWhatIsMissing) {
  const ScratchFolder folder;
  setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  const ProgramRun run = RunHone("reproduce survey-breakdown");
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_NE(run.err.find("hone pull smollm2-135m"), std::string::npos) << run.err;
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1);
}

// A whole experiment, on a model so small that it takes seconds.
TEST(ReproduceCommand, RunsAnExperimentOnTheUsersModel) {
  const ScratchFolder folder;
  const std::string model = folder.Path("tiny.gguf");
  ASSERT_EQ(RunHone("random-model --like llama-tiny --type q4_0 " + model).exit_code, 0);
  const ProgramRun run = RunHone("reproduce survey-breakdown --json --threads 1 --model " + model);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json report = Json::parse(run.out);
  EXPECT_EQ(report["threads"], 1);
  EXPECT_EQ(report["models"], Json({model}));
  EXPECT_GT(report["findings"].size(), 10u);
}

}  // namespace
}  // namespace hone
