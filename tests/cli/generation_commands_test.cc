// The commands that run a model, on a small one with random weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/program.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

class GenerationCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("hone-commands-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    model_ = (folder_ / "tiny.gguf").string();
    ASSERT_EQ(RunHone("random-model --like llama-tiny --type q4_0 " + model_).exit_code, 0);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  Json RunJson(const std::string& flags, const std::string& input = "/dev/null") const {
    const auto outcome = RunHone("run " + model_ + " " + flags + " --json", input);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }

  std::filesystem::path folder_;
  std::string model_;
};

TEST_F(GenerationCommands, RunTakesTokensAsTheyAreAndReportsTheLargestLogits) {
  const Json json = RunJson("--tokens-in '1 2 3' --max-tokens 4 --ignore-eos --logits-top 3 --logits-all");
  EXPECT_EQ(json["prompt_tokens"], Json({1, 2, 3}));
  ASSERT_EQ(json["tokens"].size(), 4u);
  ASSERT_EQ(json["top"].size(), 4u);
  ASSERT_EQ(json["prompt_top"].size(), 3u);
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_EQ(json["top"][i].size(), 3u);
    EXPECT_EQ(json["top"][i][0][0], json["tokens"][i]) << "greedy by default";
    EXPECT_GE(json["top"][i][0][1].get<float>(), json["top"][i][1][1].get<float>());
  }
  EXPECT_EQ(json["prompt_top"][2], json["top"][0]);
  EXPECT_TRUE(json["timings"].contains("load_seconds"));
}

TEST_F(GenerationCommands, RunRefusesAPromptThatPassesTheKvLimit) {
  const auto outcome = RunHone("run " + model_ + " --tokens-in '1 2 3' --max-tokens 4 --kv-limit 4KB");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("KV"), std::string::npos) << outcome.err;
  EXPECT_EQ(RunHone("run " + model_ + " --tokens-in '1 2 3' --max-tokens 4 --kv-limit 64MB").exit_code, 0);
}

TEST_F(GenerationCommands, RunGivesTheSameTextForTheSameSeedWhateverChunksAndThreads) {
  const std::string flags =
      "--raw --prompt 'some text to go on from' --max-tokens 20 --temperature 1 --ignore-eos";
  const Json first = RunJson(flags + " --seed 3");
  EXPECT_EQ(first["seed"], 3);
  EXPECT_EQ(RunJson(flags + " --seed 3 --chunk 1 --threads 1")["tokens"], first["tokens"]);
  EXPECT_NE(RunJson(flags + " --seed 4")["tokens"], first["tokens"]);
  const Json fresh = RunJson(flags);
  EXPECT_EQ(RunJson(flags + " --seed " + fresh["seed"].dump())["tokens"], fresh["tokens"]);
}

TEST_F(GenerationCommands, RunReadsThePromptFromAnArgumentAFileAndStandardInput) {
  const std::string file = Write("prompt.txt", "abc");
  const Json argument = RunJson("--prompt abc --max-tokens 3");
  EXPECT_EQ(RunJson("--file " + file + " --max-tokens 3")["prompt_tokens"], argument["prompt_tokens"]);
  EXPECT_EQ(RunJson("--max-tokens 3", file)["prompt_tokens"], argument["prompt_tokens"]);
  EXPECT_GT(argument["prompt_tokens"].size(),
            RunJson("--raw --prompt abc --max-tokens 3")["prompt_tokens"].size())
      << "the template's own words";
}

TEST_F(GenerationCommands, RunContinuesTheLastMessageOfAConversation) {
  const std::string file = Write("conversation.json", R"([{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "Hello, I"}])");
  const Json open = RunJson("--messages " + file + " --max-tokens 1");
  const Json continued = RunJson("--messages " + file + " --max-tokens 1 --continue-final-message");
  EXPECT_LT(continued["prompt_tokens"].size(), open["prompt_tokens"].size());
}

TEST_F(GenerationCommands, RunHoldsTheAnswerToARegularExpressionASchemaOrAGrammar) {
  const std::string text =
      RunJson("--prompt abc --max-tokens 40 --temperature 1 --seed 3 --regex '[0-9]{3}-[xyz]'")["text"];
  ASSERT_EQ(text.size(), 5u) << text;
  EXPECT_TRUE(text[3] == '-' && text[4] >= 'x' && text[4] <= 'z' && std::isdigit(text[0])) << text;
  const std::string schema = Write("schema.json", R"({"enum": ["left", "right"]})");
  const std::string side = RunJson("--prompt abc --json-schema " + schema)["text"];
  EXPECT_TRUE(side == "\"left\"" || side == "\"right\"") << side;
  EXPECT_EQ(
      RunJson("--prompt abc --json-schema '{\"const\": [1, 2]}' --seed 1")["text"].get<std::string>()[0],
      '[');
  const std::string grammar = Write("grammar.gbnf", "root ::= \"ab\" \"c\"+ \"d\"");
  EXPECT_EQ(
      RunJson("--prompt abc --max-tokens 60 --grammar " + grammar)["text"].get<std::string>().substr(0, 3),
      "abc");
  for (const auto& [flags, part] : std::vector<std::pair<std::string, std::string>>{
           {"--regex 'a(?=b)'", "lookahead"},
           {"--json-schema '{\"not\": {}}'", "JSON schema: #/not"},
           {"--json-schema '{\"type\": '", "not valid JSON"}}) {
    const auto outcome = RunHone("run " + model_ + " --prompt a " + flags);
    EXPECT_EQ(outcome.exit_code, 3) << flags;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST_F(GenerationCommands, RefuseWrongUsageInOneLine) {
  const auto refusal = [&](const std::string& flags) {
    const auto outcome = RunHone("run " + model_ + " " + flags);
    EXPECT_EQ(outcome.exit_code, 2) << flags << ": " << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    return outcome.err;
  };
  EXPECT_NE(refusal("--prompt a --temperature -1").find("temperature"), std::string::npos);
  EXPECT_NE(refusal("--prompt a --logit-bias '{\"999999\": 1}'").find("logit_bias: found token 999999"),
            std::string::npos);
  EXPECT_NE(refusal("--prompt a --logit-bias '[]'").find("logit_bias"), std::string::npos);
  EXPECT_NE(refusal("--prompt a --regex a --grammar b").find("expected one"), std::string::npos);
  EXPECT_NE(refusal("--prompt a --tokens-in 1").find("expected one"), std::string::npos);
  EXPECT_NE(refusal("--tokens-in 'x'").find("--tokens-in"), std::string::npos);
  EXPECT_NE(refusal("--tokens-in 99999999").find("prompt: found token 99999999"), std::string::npos);
  EXPECT_NE(refusal("--prompt a --stop ''").find("stop"), std::string::npos);
  EXPECT_NE(refusal("--prompt abcdefghijklmnopqrstuvwxyz --context 4").find("the size of the context"),
            std::string::npos);
  EXPECT_EQ(RunHone("run " + model_ + " --prompt a --logit-bias '{}' --max-tokens 1").exit_code, 0)
      << "{} is fine";
}

TEST_F(GenerationCommands, ChatAnswersLineByLineThroughAPipe) {
  const std::string input =
      Write("lines.txt", "hello\n/system Be brief.\n/save " + (folder_ / "saved.json").string() +
                             "\nhow are you\n/save " + (folder_ / "saved.json").string() + "\n/exit\nno\n");
  const auto outcome = RunHone("chat " + model_ + " --max-tokens 4 --seed 1 --ignore-eos", input);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.find('>'), std::string::npos) << "no prompt";
  EXPECT_EQ(outcome.out.find('['), std::string::npos) << "no speed line";
  std::ifstream file(folder_ / "saved.json");
  const Json saved = Json::parse(file, nullptr, false);
  ASSERT_EQ(saved.size(), 3u) << saved;
  EXPECT_EQ(saved[0]["content"], "Be brief.");
  EXPECT_EQ(saved[1]["content"], "how are you");
  EXPECT_EQ(saved[2]["role"], "assistant");
}

TEST_F(GenerationCommands, ChatWithoutATemplateNamesTheFlag) {
  const auto outcome = RunHone("chat " HONE_SOURCE_DIR "/tests/golden/models/llama.gguf");
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
  EXPECT_NE(outcome.err.find("--chat-template"), std::string::npos) << outcome.err;
}

TEST_F(GenerationCommands, PerplexityAndBenchWriteTheirContract) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "A line of text, number " + std::to_string(i) + ".\n";
  const std::string file = Write("text.txt", text);
  const auto perplexity = RunHone("perplexity " + model_ + " " + file + " --ctx 64 --chunks 2 --json");
  ASSERT_EQ(perplexity.exit_code, 0) << perplexity.err;
  const Json json = Json::parse(perplexity.out);
  EXPECT_GT(json["perplexity"].get<double>(), 1.0);
  EXPECT_GT(json["stderr"].get<double>(), 0.0);
  EXPECT_EQ(json["chunks"], 2);
  EXPECT_EQ(json["tokens"], 2 * 31);
  const auto shorter = RunHone("perplexity " + model_ + " " + Write("short.txt", "a") + " --ctx 64");
  EXPECT_EQ(shorter.exit_code, 3);
  EXPECT_NE(shorter.err.find("at least 64"), std::string::npos);

  const auto bench =
      RunHone("bench " + model_ + " --prefill 32 --decode 8 --batch 2 --repeat 2 --threads 1 --json");
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const Json speed = Json::parse(bench.out);
  for (const char* key : {"prefill_tokens_per_second", "decode_tokens_per_second"}) {
    EXPECT_GT(speed[key]["median"].get<double>(), 0.0);
    EXPECT_LE(speed[key]["min"].get<double>(), speed[key]["max"].get<double>());
  }
  for (const char* key : {"weight_bytes_per_token", "read_bandwidth_bytes_per_second", "bandwidth_fraction",
                          "kv_bytes_per_token", "bandwidth_fraction_with_kv", "peak_resident_bytes",
                          "cpu_target", "load_seconds", "memory"}) {
    EXPECT_TRUE(speed.contains(key)) << key;
  }
}

}  // namespace
}  // namespace hone
