#include "core/formats/plan/plan.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "fuzz_replay.h"
#include "scratch_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace hone {
namespace {

PlanPart Softmax() {
  PlanPart part;
  part.made_for[PlanKey::kArchitecture] = "a1";
  part.settings = R"({"margin":0.25,"layers":[0,1]})";
  part.tensors["range"] = PlanTensor::FromFloats(std::vector<float>{1, 2, 3, -4, 5, 6.5f}, {3, 2});
  return part;
}

PlanPart Kernels() {
  PlanPart part;
  part.made_for[PlanKey::kProcessor] = "some processor, avx2";
  return part;
}

class Plans : public testing::Test {
 protected:
  // The message of the refusal behind the folder's path, or "read".
  std::string Refusal(std::string_view json) {
    folder_.Write("plan.json", json);
    const auto plan = ReadPlan(folder_.path());
    if (plan) return "read";
    EXPECT_EQ(plan.error().kind, ErrorKind::kBadInput);
    EXPECT_TRUE(plan.error().message.starts_with(folder_.path())) << plan.error().message;
    EXPECT_EQ(plan.error().message.find('\n'), std::string::npos);
    return plan.error().message.substr(folder_.path().size());
  }
  ScratchFolder folder_;
};

TEST_F(Plans, AreReadAsTheyWereWritten) {
  Plan plan;
  plan.parts["softmax"] = Softmax();
  plan.parts["kernels"] = Kernels();
  const std::string path = folder_.Path("new/plan");
  ASSERT_TRUE(WritePlan(plan, path));
  const auto read = ReadPlan(path);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->parts.size(), 2u);
  const PlanPart& softmax = read->parts.at("softmax");
  EXPECT_EQ(softmax.made_for, Softmax().made_for);
  EXPECT_EQ(softmax.acts, PlanStage::kRunner);
  EXPECT_EQ(softmax.settings, Softmax().settings);
  const std::vector<int64_t> shape{3, 2};
  const auto values = softmax.Floats("range", shape);
  ASSERT_TRUE(values) << values.error().message;
  EXPECT_EQ(*values, (std::vector<float>{1, 2, 3, -4, 5, 6.5f}));
  EXPECT_TRUE(read->parts.at("kernels").tensors.empty());
}

TEST_F(Plans, RefuseATensorOfAnotherShape) {
  const PlanPart part = Softmax();
  const std::vector<int64_t> wrong{2, 3};
  const std::vector<int64_t> right{3, 2};
  EXPECT_FALSE(part.Floats("range", wrong));
  EXPECT_FALSE(part.Floats("scale", right));
  EXPECT_NE(part.Floats("range", wrong).error().message.find("F32 [3, 2], expected F32 [2, 3]"),
            std::string::npos);
}

TEST_F(Plans, ReplaceAnEarlierPlanTensorsIncluded) {
  Plan plan;
  plan.parts["softmax"] = Softmax();
  ASSERT_TRUE(WritePlan(plan, folder_.path()));
  Plan second;
  second.parts["kernels"] = Kernels();
  ASSERT_TRUE(WritePlan(second, folder_.path()));
  EXPECT_FALSE(std::filesystem::exists(folder_.Path("tensors.safetensors")));
  const auto read = ReadPlan(folder_.path());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->parts.size(), 1u);
}

TEST_F(Plans, SeeThatTheTensorsAreThoseOfAnotherPlan) {
  Plan plan;
  plan.parts["softmax"] = Softmax();
  ASSERT_TRUE(WritePlan(plan, folder_.Path("one")));
  plan.parts["softmax"].tensors["range"].bytes[0] = std::byte{7};
  ASSERT_TRUE(WritePlan(plan, folder_.Path("two")));
  std::filesystem::copy_file(folder_.Path("two/tensors.safetensors"), folder_.Path("one/tensors.safetensors"),
                             std::filesystem::copy_options::overwrite_existing);
  const auto read = ReadPlan(folder_.Path("one"));
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("not written with the plan.json beside it"), std::string::npos);
  std::filesystem::remove(folder_.Path("one/tensors.safetensors"));
  EXPECT_FALSE(ReadPlan(folder_.Path("one")));
}

TEST_F(Plans, OfDifferentPartsMergeAndOthersAreRefused) {
  Plan plan, more;
  plan.parts["softmax"] = Softmax();
  more.parts["kernels"] = Kernels();
  ASSERT_TRUE(MergePlan(more, plan));
  EXPECT_EQ(plan.parts.size(), 2u);
  const auto twice = MergePlan(more, plan);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().message, "plan: parts.kernels: in another plan too, expected it in one plan");
  EXPECT_EQ(plan.parts.size(), 2u);
}

TEST_F(Plans, FitWhereEveryKeyTheyNameIsTheSame) {
  PlanPart part = Softmax();
  int asked = 0;
  const auto current = [&](PlanKey key) -> Result<std::string> {
    ++asked;
    return key == PlanKey::kArchitecture ? "a1" : "other";
  };
  EXPECT_TRUE(CheckFits("softmax", part, current));
  EXPECT_EQ(asked, 1);  // the weights are not hashed for nothing
  part.made_for[PlanKey::kWeights] = "w1";
  const auto refused = CheckFits("softmax", part, current);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "plan: parts.softmax: made for weights w1, expected other");
}

TEST_F(Plans, SayInOneLineWhatIsWrongInThem) {
  EXPECT_EQ(Refusal(R"({"version":1,"parts":{}})"), "read");
  const std::string file = "/plan.json: ";
  EXPECT_EQ(Refusal("{}"), file + "version: found nothing, expected 1");
  EXPECT_EQ(Refusal(R"({"version":2,"parts":{}})"), file + "version: found 2, expected 1");
  EXPECT_EQ(Refusal(R"({"version":1})"), file + "parts: found nothing, expected an object");
  EXPECT_EQ(Refusal(R"({"version":1,"parts":[]})"), file + "parts: found [], expected an object");
  EXPECT_EQ(Refusal(R"({"version":1,"parts":{},"more":1})"),
            file + "top level: unknown field \"more\", expected version, tensors_hash, parts");
  EXPECT_EQ(Refusal(R"({"version":1,"parts":{"a.b":{}}})"),
            file + "parts: found the name \"a.b\", expected lower-case letters, digits and hyphens");
  EXPECT_EQ(Refusal(R"({"version":1,"parts":{"a":{"acts":"never"}}})"),
            file + "parts.a.acts: found \"never\", expected load or runner");
  EXPECT_EQ(Refusal(R"({"version":1,"parts":{"a":{"acts":"load"}}})"),
            file + "parts.a.made_for: absent, expected an object");
  EXPECT_EQ(
      Refusal(R"({"version":1,"parts":{"a":{"acts":"load","made_for":{}}}})"),
      file + "parts.a.made_for: empty, expected one or more of architecture, tokenizer, weights, processor");
  EXPECT_EQ(Refusal(R"({"version":1,"parts":{"a":{"acts":"load","made_for":{"architecture":7}}}})"),
            file + "parts.a.made_for.architecture: found 7, expected a text of 1 to 256 bytes");
  EXPECT_EQ(Refusal(R"({"version":1,"parts":{"a":{"acts":"load","made_for":{"weights":"x"},"settings":3}}})"),
            file + "parts.a.settings: not an object, expected {...}");
  EXPECT_EQ(Refusal(R"({"version":1,"tensors_hash":5,"parts":{}})"),
            file + "tensors_hash: found 5, expected a text");
  EXPECT_EQ(Refusal("{\"a\":" + std::string(100000, '[')), file + "nesting: deeper than 64 levels");
  EXPECT_EQ(Refusal("no json"), file + "line 1: malformed JSON at column 2, expected an object");
  EXPECT_EQ(ReadPlan(folder_.Path("absent")).error().message,
            folder_.Path("absent") + ": plan: no plan.json in it, expected the folder of a plan");
}

TEST_F(Plans, AreNotWrittenWhereTheyCouldNotBeReadAgain) {
  Plan plan;
  plan.parts["No name"] = Softmax();
  EXPECT_FALSE(WritePlan(plan, folder_.path()));
  plan.parts.clear();
  plan.parts["softmax"] = PlanPart{};
  EXPECT_FALSE(WritePlan(plan, folder_.path())) << "does not say what it was made for";
  plan.parts["softmax"] = Softmax();
  plan.parts["softmax"].settings = "[1]";
  EXPECT_FALSE(WritePlan(plan, folder_.path()));
  plan.parts["softmax"] = Softmax();
  plan.parts["softmax"].tensors["range"].shape = {4, 2};
  EXPECT_FALSE(WritePlan(plan, folder_.path()));
  EXPECT_FALSE(std::filesystem::exists(folder_.Path("plan.json")));
}

TEST(PlanFuzz, SurvivesItsCorpusAndItsMutations) {
  const FuzzCounts counts =
      ReplayFuzz(LLVMFuzzerTestOneInput, HONE_SOURCE_DIR "/fuzz/corpus/plan", 20000,
                 {"\"acts\":\"load\"", "\"made_for\":{\"weights\":\"x\"}", "\"version\":1",
                  "\"tensors_hash\":\"HASH\"", "\"settings\":{}", "{}", "[["});
  EXPECT_GE(counts.files, 8);
  EXPECT_EQ(counts.mutations, 20000);
}

}  // namespace
}  // namespace hone
