// hone plan, and --plan in the commands that run a model.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "scratch_folder.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

class PlanCommand : public testing::Test {
 protected:
  std::string WritePlanFile(const std::string& name, const std::string& json) {
    std::filesystem::create_directories(folder_.Path(name));
    folder_.Write(name + "/plan.json", json);
    return folder_.Path(name);
  }
  // The last line of standard error behind "hone: " (bench warns of a busy machine in another).
  std::string Refusal(const std::string& arguments) {
    const ProgramRun run = RunHone(arguments);
    EXPECT_EQ(run.exit_code, 3) << arguments << ": " << run.err;
    const size_t at = run.err.rfind("hone: ");
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), at == 0 ? 1 : 2) << run.err;
    return at == std::string::npos ? run.err : run.err.substr(at + 6);
  }
  ScratchFolder folder_;
};

constexpr const char* kPart =
    R"({"version":1,"parts":{"%s":{"acts":"runner","made_for":{"architecture":"ab"},"settings":{"margin":0.5}}}})";

std::string Part(const std::string& name) {
  std::string json = kPart;
  return json.replace(json.find("%s"), 2, name);
}

TEST_F(PlanCommand, ShowsWhatAPlanHolds) {
  const std::string plan = WritePlanFile("plan", Part("unheard-of"));
  const ProgramRun run = RunHone("plan show " + plan);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.out,
            "unheard-of: no technique of this program reads it\n  acts      in the runner\n"
            "  made for  architecture ab\n  margin    0.5\n");
  const Json json = Json::parse(RunHone("plan show --json " + plan).out);
  EXPECT_EQ(json["parts"]["unheard-of"]["settings"]["margin"], 0.5);
  EXPECT_EQ(json["parts"]["unheard-of"]["read_by_this_program"], false);
}

TEST_F(PlanCommand, MergesPlansOfDifferentParts) {
  const std::string one = WritePlanFile("one", Part("one"));
  const std::string two = WritePlanFile("two", Part("two"));
  const std::string both = folder_.Path("both");
  ASSERT_EQ(RunHone("plan merge " + one + " " + two + " -o " + both).exit_code, 0);
  EXPECT_EQ(Json::parse(RunHone("plan show --json " + both).out)["parts"].size(), 2u);
  EXPECT_EQ(Refusal("plan merge " + both + " " + two + " -o " + folder_.Path("third")),
            two + "/plan.json: parts.two: in " + both + "/plan.json too, expected it in one plan\n");
}

TEST_F(PlanCommand, EveryCommandThatRunsAModelRefusesWhatNobodyReads) {
  const std::string model = folder_.Path("tiny.gguf");
  ASSERT_EQ(RunHone("random-model --like llama-tiny --type q4_0 " + model).exit_code, 0);
  const std::string plan = WritePlanFile("plan", Part("unheard-of"));
  const std::string good = WritePlanFile("good", R"({"version":1,"parts":{}})");
  const std::string text = folder_.Write("text.txt", "some text");
  for (const std::string& command :
       {"run " + model + " --prompt a --max-tokens 1", "perplexity " + model + " " + text,
        "bench " + model + " --repeat 1 --decode 1 --prefill 1", "chat " + model}) {
    EXPECT_EQ(Refusal(command + " --plan " + good + " --plan " + plan),
              plan + "/plan.json: parts.unheard-of: no technique of this program reads it\n");
  }
  EXPECT_EQ(Refusal("run " + model + " --prompt a --plan " + folder_.Path("none")),
            folder_.Path("none") + ": plan: no plan.json in it, expected the folder of a plan\n");
  EXPECT_EQ(RunHone("run " + model + " --prompt a --max-tokens 1 --plan " + good).exit_code, 0);
}

}  // namespace
}  // namespace hone
