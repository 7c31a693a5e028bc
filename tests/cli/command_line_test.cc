#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/program.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// The commands that `hone --help` lists.
std::vector<std::string> Commands() {
  std::istringstream help(RunHone("--help").out);
  std::vector<std::string> commands;
  bool listing = false;
  for (std::string line; std::getline(help, line);) {
    if (line == "Commands:") {
      listing = true;
    } else if (listing && line.starts_with("  ")) {
      commands.push_back(line.substr(2, line.find(' ', 2) - 2));
    } else {
      listing = false;
    }
  }
  return commands;
}

class CommandLine : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string name = (fs::temp_directory_path() / "hone_model_XXXXXX").string();
    folder_ = mkdtemp(name.data());
    ASSERT_EQ(RunHone("random-model --like llama-tiny --type q4_0 " + Model()).exit_code, 0);
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }
  static std::string Model() { return (folder_ / "tiny.gguf").string(); }
  static std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  inline static fs::path folder_;
};

TEST_F(CommandLine, EveryCommandHasAHelpTextWithAnExampleAndTheExitCodes) {
  const auto commands = Commands();
  EXPECT_GE(commands.size(), 5u);
  for (const std::string& command : commands) {
    const ProgramRun run = RunHone(command + " --help");
    EXPECT_EQ(run.exit_code, 0) << command;
    EXPECT_NE(run.out.find("Example: hone " + command), std::string::npos) << command;
    EXPECT_NE(run.out.find("130 interrupted"), std::string::npos) << command;
    EXPECT_EQ(RunHone("help " + command).out, run.out);
  }
}

TEST_F(CommandLine, WrongUsageIsCodeTwoAndOneLineThatSuggestsTheNearest) {
  struct Case {
    const char* arguments;
    const char* line;
  };
  for (const Case& c : std::vector<Case>{
           {"inspekt", "hone: unknown command inspekt, did you mean inspect? (hone --help lists them)\n"},
           {"frobnicate", "hone: unknown command frobnicate (hone --help lists them)\n"},
           {"inspect --jsno x", "hone: inspect: unknown flag --jsno, did you mean --json?\n"},
           {"inspect a b", "hone: inspect: unexpected argument \"b\"\n"},
           {"inspect", "hone: inspect: FILE is required (hone inspect --help)\n"},
           {"", "hone: no command given (hone --help lists them)\n"},
       }) {
    const ProgramRun run = RunHone(c.arguments);
    EXPECT_EQ(run.exit_code, 2) << c.arguments;
    EXPECT_EQ(run.err, c.line);
    EXPECT_EQ(run.out, "");
  }
}

TEST_F(CommandLine, ABadFileIsCodeThreeAndOneLineThatNamesIt) {
  const std::string file = Write("bad.gguf", "no model at all");
  for (const std::string command : {"inspect ", "tokenize --text x "}) {
    const ProgramRun run = RunHone(command + file);
    EXPECT_EQ(run.exit_code, 3) << command;
    EXPECT_TRUE(run.err.starts_with("hone: " + file + ": ")) << run.err;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1);
  }
}

TEST_F(CommandLine, AFullDiskUnderStandardOutputIsAFailure) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const ProgramRun run = RunHone("inspect --json " + Model() + " >/dev/full");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_TRUE(run.err.starts_with("hone: standard output: ")) << run.err;
}

// Processor time, which the machine's other work leaves alone; what would break it is a heavy library linked in.
TEST_F(CommandLine, StartTakesUnderTwentyMillisecondsOfProcessorTime) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers take longer";
#endif
  const auto children = [] {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
  };
  double best = 1e9;
  for (int i = 0; i < 30; ++i) {
    const double before = children();
    ASSERT_EQ(std::system(HONE_PROGRAM " --version >/dev/null"), 0);
    best = std::min(best, children() - before);
  }
  EXPECT_LT(best, 0.020);
}

TEST_F(CommandLine, InspectCountsTensorsTypesAndCache) {
  const ProgramRun run = RunHone("inspect --json " + Model());
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json report = Json::parse(run.out);
  EXPECT_EQ(report["architecture"], "llama");
  EXPECT_EQ(report["total"]["tensors"], report["tensors"].size());
  EXPECT_DOUBLE_EQ(report["types"]["Q4_0"]["bits_per_weight"].get<double>(), 4.5);
  const Json& metadata = report["metadata"];
  const int64_t head_dim = metadata["llama.embedding_length"].get<int64_t>() /
                           metadata["llama.attention.head_count"].get<int64_t>();
  EXPECT_EQ(report["kv_bytes_per_token"].get<int64_t>(),
            2 * 2 * head_dim * metadata["llama.attention.head_count_kv"].get<int64_t>() *
                metadata["llama.block_count"].get<int64_t>());
  EXPECT_EQ(report["file_bytes"].get<uint64_t>(), fs::file_size(Model()));
}

TEST_F(CommandLine, TokenizeWritesIdsOnOneLineAndControlTokensOnlyWhenAsked) {
  const std::string file = Write("text.txt", "<|im_end|>");
  const ProgramRun plain = RunHone("tokenize " + Model() + " --file " + file);
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  const ProgramRun special = RunHone("tokenize " + Model() + " --special --file " + file);
  EXPECT_EQ(std::count(plain.out.begin(), plain.out.end(), '\n'), 1);
  EXPECT_GT(std::count(plain.out.begin(), plain.out.end(), ' '), 1);
  EXPECT_EQ(std::count(special.out.begin(), special.out.end(), ' '), 0);
  const Json json = Json::parse(RunHone("tokenize " + Model() + " --json --file " + file).out);
  std::string joined;
  for (const Json& token : json["tokens"]) joined.append(joined.empty() ? "" : " ").append(token.dump());
  EXPECT_EQ(joined + "\n", plain.out);
}

TEST_F(CommandLine, TemplateRendersByteForByte) {
  const std::string source =
      Write("t.jinja",
            "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
            "{% if add_generation_prompt %}[go]{% endif %}{{ strftime_now('%Y-%m-%d') }}{% if x is defined "
            "%}{{ x }}{% endif %}");
  const std::string list = Write("list.json", R"([{"role": "user", "content": "é"}])");
  const std::string object =
      Write("object.json", R"({"messages": [{"role": "user", "content": "é"}], "variables": {"x": 5}})");
  const std::string call = "template --clock 2026-11-24T12:00:00 --file " + source + " --messages ";
  EXPECT_EQ(RunHone(call + list).out, "<s>[user]é[go]2026-11-24");
  EXPECT_EQ(RunHone(call + object + " --no-generation-prompt").out, "<s>[user]é2026-11-245");
  const ProgramRun broken = RunHone(call + Write("broken.json", "[1,"));
  EXPECT_EQ(broken.exit_code, 3);
  EXPECT_EQ(std::count(broken.err.begin(), broken.err.end(), '\n'), 1);
}

TEST_F(CommandLine, TemplateAgreesWithTheReferenceRenderings) {
  const fs::path golden = fs::path(HONE_SOURCE_DIR) / "../shared/golden/templates";
  if (!fs::exists(golden / "conversations.json")) GTEST_SKIP() << "no ../shared";
  const Json conversations = Json::parse(ReadWholeFile(golden / "conversations.json"));
  const std::string name = "GLM-4.7-Flash";
  const Json renderings = Json::parse(ReadWholeFile(golden / (name + ".json")));
  int compared = 0;
  for (const auto& [conversation, content] : conversations.items()) {
    const std::string file = Write("conversation.json", content.dump());
    for (const bool generation : {true, false}) {
      const Json& expected = renderings[conversation + (generation ? "/generation" : "/plain")];
      const ProgramRun run =
          RunHone("template --clock 2026-11-24T12:00:00 --file '" + (golden / (name + ".jinja")).string() +
                  "' --messages " + file + (generation ? "" : " --no-generation-prompt"));
      EXPECT_EQ(run.exit_code == 0, expected.contains("text")) << conversation << run.err;
      if (expected.contains("text")) {
        EXPECT_EQ(run.out, expected["text"].get<std::string>()) << conversation;
      }
      ++compared;
    }
  }
  EXPECT_GT(compared, 10);
}

TEST_F(CommandLine, PullListsTheKnownModels) {
  const ProgramRun run = RunHone("pull");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_NE(run.out.find("smollm2-135m"), std::string::npos);
  EXPECT_NE(run.out.find("gemma3-270m"), std::string::npos);
  EXPECT_EQ(RunHone("pull smollm2-134m").exit_code, 2);
}

}  // namespace
}  // namespace hone
