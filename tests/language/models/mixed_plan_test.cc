#include "language/models/mixed_plan.h"

#include "language/models/model_hash.h"
#include "language/models/plan_use.h"
#include "model_fixture.h"

namespace hone::testing {
namespace {

constexpr const char* kName = "blk.0.ffn_down.weight";

// A part that holds zeros in the place of the first down projection of the tiny model.
PlanPart ZeroPart(const Model& model, int64_t columns, int64_t rows) {
  const auto layout = MixedLayout::Make(std::vector<uint8_t>(static_cast<size_t>(columns / 16), 1), 0);
  PlanPart part;
  part.acts = PlanStage::kLoad;
  part.made_for[PlanKey::kWeights] = *WeightsHash(model.path());
  const std::vector<std::byte> groups(static_cast<size_t>((rows + 15) / 16 * layout->bytes()));
  AddMixedTensor(kName, *layout, groups, part);
  return part;
}

class MixedPlanTest : public ::testing::Test {
 protected:
  MixedPlanTest() : model_(*LoadModel(TinyModel("llama.gguf"), engine_)) {
    const ModelConfig& config = model_->config();
    plan_.parts[std::string(kMixedPart)] = ZeroPart(*model_, config.feed_forward, config.width);
  }
  PlanPart& part() { return plan_.parts.begin()->second; }
  Result<std::shared_ptr<const Model>> Load() {
    return LoadModel(TinyModel("llama.gguf"), engine_, {.plan = &plan_});
  }

  Engine engine_{1};
  std::shared_ptr<const Model> model_;
  Plan plan_;
};

TEST_F(MixedPlanTest, StandsInThePlaceOfTheFilesMatrix) {
  const auto loaded = Load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  for (const WeightInfo& weight : (*loaded)->weights())
    EXPECT_EQ(weight.type == DType::kMixed2, weight.name + ".weight" == kName) << weight.name;
  RunnerOptions options;
  EXPECT_TRUE(UsePlan(plan_, **loaded, options));
}

TEST_F(MixedPlanTest, IsRefusedByARunnerOfAModelThatWasLoadedWithoutIt) {
  RunnerOptions options;
  const auto refused = UsePlan(plan_, *model_, options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("was loaded without it"), std::string::npos)
      << refused.error().message;
}

TEST_F(MixedPlanTest, IsRefusedWithOtherWeights) {
  part().made_for[PlanKey::kWeights] = "0000000000000000";
  EXPECT_FALSE(Load());
}

TEST_F(MixedPlanTest, IsRefusedWhereTheTensorsDoNotFit) {
  const PlanPart right = part();
  const auto refusal = [&] {
    const auto loaded = Load();
    part() = right;
    return loaded ? std::string("loaded") : loaded.error().message;
  };
  part().tensors[std::string(kName) + ".groups"].shape[1] -= 8;
  EXPECT_NE(refusal().find("groups of"), std::string::npos);
  part().tensors.erase(std::string(kName) + ".bands");
  EXPECT_NE(refusal().find("its bands are missing"), std::string::npos);
  part().tensors[std::string(kName) + ".bands"].bytes[0] = std::byte{2};
  EXPECT_NE(refusal().find("a band of kind 2"), std::string::npos);
  part() = ZeroPart(*model_, model_->config().feed_forward, model_->config().width + 16);
  EXPECT_NE(refusal().find("groups of"), std::string::npos);
  for (const char* kind : {".groups", ".bands"}) {
    auto node = part().tensors.extract(std::string(kName) + kind);
    node.key() = std::string("blk.0.nothing.weight") + kind;
    part().tensors.insert(std::move(node));
  }
  EXPECT_NE(refusal().find("no such matrix"), std::string::npos);
}

}  // namespace
}  // namespace hone::testing
