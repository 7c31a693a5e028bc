// Plans meet models: hashes, refusals, and the hand-over to whoever reads a part.
#include "language/models/plan_use.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "core/formats/gguf/random_model.h"
#include "core/kernels/cpu/processor_key.h"
#include "language/models/model.h"
#include "language/models/model_hash.h"
#include "language/models/runner.h"
#include "scratch_folder.h"

namespace hone {
namespace {

// A use that leaves a trace: it halves the rows of a batch.
Result<void> Halve(const PlanPart& part, const Model&, RunnerOptions& options) {
  if (part.settings == R"({"fail":true})") return BadInput(part.source, "fail", "found true");
  options.max_rows /= 2;
  return {};
}
constexpr PlanUse kUses[] = {{"halve", "half as many rows", PlanStage::kRunner, Halve}};

class PlanReaders : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<ScratchFolder>();
    for (const DType type : {DType::kQ4_0, DType::kF16})
      ASSERT_TRUE(WriteRandomModel("llama-tiny", type, 1, Path(type)));
    engine_ = std::make_unique<Engine>(1);
    model_ = *LoadModel(Path(DType::kQ4_0), *engine_);
  }
  static void TearDownTestSuite() {
    model_.reset();
    engine_.reset();
    folder_.reset();
  }
  static std::string Path(DType type) { return folder_->Path(std::string(Info(type).name) + ".gguf"); }
  static Plan Made(PlanKey key, const std::string& value) {
    Plan plan;
    plan.parts["halve"].made_for[key] = value;
    return plan;
  }
  static std::string Refusal(const Plan& plan) {
    RunnerOptions options;
    const auto used = UsePlan(plan, *model_, options, kUses);
    return used ? "used" : used.error().message;
  }
  inline static std::unique_ptr<ScratchFolder> folder_;
  inline static std::unique_ptr<Engine> engine_;
  inline static std::shared_ptr<const Model> model_;
};

TEST_F(PlanReaders, HandAPartThatFitsToItsReader) {
  for (const PlanKey key :
       {PlanKey::kArchitecture, PlanKey::kTokenizer, PlanKey::kWeights, PlanKey::kProcessor}) {
    RunnerOptions options;
    ASSERT_EQ(options.max_rows, 512);
    const auto used = UsePlan(Made(key, *CurrentKey(key, *model_)), *model_, options, kUses);
    EXPECT_TRUE(used) << used.error().message;
    EXPECT_EQ(options.max_rows, 256);
    EXPECT_EQ(Refusal(Made(key, "0")), fmt::format("plan: parts.halve: made for {} 0, expected {}",
                                                   Name(key), *CurrentKey(key, *model_)));
  }
}

TEST_F(PlanReaders, PassOnWhatTheReaderRefuses) {
  Plan plan = Made(PlanKey::kProcessor, ProcessorKey());
  plan.parts["halve"].settings = R"({"fail":true})";
  plan.parts["halve"].source = "p/plan.json";
  EXPECT_EQ(Refusal(plan), "p/plan.json: fail: found true");
}

TEST_F(PlanReaders, RefusePartsThatNobodyReadsAndTheWrongTime) {
  Plan plan = Made(PlanKey::kProcessor, ProcessorKey());
  plan.parts["halve"].acts = PlanStage::kLoad;
  EXPECT_EQ(Refusal(plan), "plan: parts.halve.acts: found load, expected runner");
  Plan other;
  other.parts["halves"].made_for[PlanKey::kProcessor] = ProcessorKey();
  EXPECT_EQ(Refusal(other), "plan: parts.halves: no technique of this program reads it, did you mean halve?");
  EXPECT_EQ(Refusal(Plan{}), "used");
}

TEST_F(PlanReaders, JoinThePlansOfSeveralFolders) {
  const Plan plan = Made(PlanKey::kProcessor, ProcessorKey());
  const std::vector<std::string> folders{folder_->Path("one"), folder_->Path("two")};
  ASSERT_TRUE(WritePlan(plan, folders[0]));
  ASSERT_TRUE(WritePlan(Plan{}, folders[1]));
  const auto joined = ReadPlans(folders, kUses);
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_EQ(joined->parts.size(), 1u);
  ASSERT_TRUE(WritePlan(plan, folders[1]));
  const auto twice = ReadPlans(folders, kUses);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().message, folders[1] + "/plan.json: parts.halve: in " + folders[0] +
                                       "/plan.json too, expected it in one plan");
}

TEST_F(PlanReaders, NameAndFillEveryLineOfTheTable) {
  std::vector<std::string_view> names;
  for (const PlanUse& use : PlanUses()) {
    EXPECT_FALSE(use.summary.empty());
    EXPECT_NE(use.use, nullptr);
    EXPECT_EQ(std::count(names.begin(), names.end(), use.name), 0) << use.name << " stands twice";
    names.push_back(use.name);
  }
}

TEST_F(PlanReaders, KnowAnArchitectureAndATokenizerAcrossTypesAndWeightsByTheirBytes) {
  const auto f16 = *LoadModel(Path(DType::kF16), *engine_);
  EXPECT_EQ(ArchitectureHash(f16->config()), ArchitectureHash(model_->config()));
  EXPECT_EQ(TokenizerHash(f16->tokenizer()), TokenizerHash(model_->tokenizer()));
  EXPECT_NE(*WeightsHash(f16->path()), *WeightsHash(model_->path()));
  const std::string again = folder_->Path("again.gguf");
  ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kQ4_0, 1, again));
  EXPECT_EQ(*WeightsHash(again), *WeightsHash(model_->path()));
  ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kQ4_0, 2, again));
  EXPECT_NE(*WeightsHash(again), *WeightsHash(model_->path()));
}

TEST_F(PlanReaders, TellAnArchitectureBySizesWindowsAndRotation) {
  const ModelConfig& config = model_->config();
  const std::string hash = ArchitectureHash(config);
  const auto changed = [&](auto change) {
    ModelConfig other = config;
    change(other);
    return ArchitectureHash(other) != hash;
  };
  EXPECT_TRUE(changed([](ModelConfig& c) { c.kv_heads *= 2; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.window[0] = 64; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope_base = 5e5; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope_scaling.factor = 2.0; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope_scaling.factors = {1.0f}; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.attention_scale *= 2.0f; }));
  EXPECT_FALSE(changed([](ModelConfig& c) { c.name = "another"; }));
}

}  // namespace
}  // namespace hone
