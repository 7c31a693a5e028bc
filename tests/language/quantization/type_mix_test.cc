#include "language/quantization/type_mix.h"

#include <gtest/gtest.h>

#include <map>

namespace hone {
namespace {

// The matrices of a Llama with `layers` layers, as a GGUF file names them.
class LlamaShapes {
 public:
  LlamaShapes(int layers, int64_t width, int64_t feed_forward, bool tied) {
    Add("token_embd.weight", 1000, width);
    for (int i = 0; i < layers; ++i) {
      const std::string block = "blk." + std::to_string(i) + ".";
      Add(block + "attn_norm.weight", 0, width);
      for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"})
        Add(block + name + ".weight", 64, width);
      Add(block + "ffn_down.weight", width, feed_forward);
    }
    if (!tied) Add("output.weight", 1000, width);
  }

  std::vector<NamedShape> Shapes() const {
    std::vector<NamedShape> shapes;
    for (size_t i = 0; i < names_.size(); ++i) shapes.push_back({names_[i], dimensions_[i], DType::kF16});
    return shapes;
  }

  std::map<std::string, TypeChoice> Choose(std::string_view mix, const MixedModel& model,
                                           const ForcedTypes& forced = {}) const {
    const std::vector<NamedShape> shapes = Shapes();
    const auto choices = ChooseTypes(*FindTypeMix(mix), model, shapes, forced, false);
    EXPECT_TRUE(choices) << choices.error().message;
    std::map<std::string, TypeChoice> by_name;
    for (size_t i = 0; i < names_.size(); ++i) by_name.emplace(names_[i], (*choices)[i]);
    return by_name;
  }

 private:
  void Add(std::string name, int64_t rows, int64_t columns) {
    names_.push_back(std::move(name));
    dimensions_.push_back(rows == 0 ? std::vector<int64_t>{columns} : std::vector<int64_t>{rows, columns});
  }
  std::vector<std::string> names_;
  std::vector<std::vector<int64_t>> dimensions_;
};

TEST(TypeMix, FindsNamesInAnyCaseAndSuggests) {
  EXPECT_EQ(FindTypeMix("q4_k_m")->file_type, 15u);
  EXPECT_EQ(FindTypeMix("Q4_K")->name, "Q4_K_M");
  EXPECT_EQ(FindTypeMix("bf16")->base, DType::kBF16);
  const auto unknown = FindTypeMix("Q4_K_N");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::kUsage);
  EXPECT_NE(unknown.error().message.find("did you mean Q4_K_"), std::string::npos) << unknown.error().message;
}

// With 16 layers: 0, 1, 14, 15 and every third between them, from 4 on, get more bits in Q4_K_M.
TEST(TypeMix, MediumMixGivesSomeLayersMoreBits) {
  const auto types = LlamaShapes(16, 512, 1024, false).Choose("Q4_K_M", {16, 8, 8, false, false});
  EXPECT_EQ(types.at("output.weight").type, DType::kQ6_K);
  EXPECT_EQ(types.at("token_embd.weight").type, DType::kQ4_K);
  EXPECT_EQ(types.at("blk.3.attn_norm.weight").type, DType::kF16) << "a vector keeps its type";
  for (int layer = 0; layer < 16; ++layer) {
    const bool more = layer < 2 || layer >= 14 || layer == 4 || layer == 7 || layer == 10 || layer == 13;
    for (const char* name : {".attn_v.weight", ".ffn_down.weight"}) {
      EXPECT_EQ(types.at("blk." + std::to_string(layer) + name).type, more ? DType::kQ6_K : DType::kQ4_K)
          << layer << name;
    }
    EXPECT_EQ(types.at("blk." + std::to_string(layer) + ".ffn_up.weight").type, DType::kQ4_K);
  }
}

TEST(TypeMix, OtherMixesFollowTheirRules) {
  const LlamaShapes shapes(16, 512, 1024, true);
  const MixedModel shared{16, 8, 2, true, false};
  const auto q2 = shapes.Choose("Q2_K", shared);
  EXPECT_EQ(q2.at("token_embd.weight").type, DType::kQ6_K) << "it is the head too";
  EXPECT_EQ(q2.at("blk.5.attn_v.weight").type, DType::kQ4_K);
  EXPECT_EQ(q2.at("blk.5.attn_output.weight").type, DType::kQ3_K);
  EXPECT_EQ(q2.at("blk.5.ffn_down.weight").type, DType::kQ3_K);
  EXPECT_EQ(q2.at("blk.5.ffn_up.weight").type, DType::kQ2_K);
  const auto q3 = shapes.Choose("Q3_K_M", shared);
  EXPECT_EQ(q3.at("blk.1.attn_v.weight").type, DType::kQ5_K);
  EXPECT_EQ(q3.at("blk.2.attn_v.weight").type, DType::kQ4_K);
  EXPECT_EQ(q3.at("blk.0.ffn_down.weight").type, DType::kQ5_K);
  EXPECT_EQ(q3.at("blk.1.ffn_down.weight").type, DType::kQ4_K);
  const auto large = shapes.Choose("Q3_K_L", shared);
  EXPECT_EQ(large.at("blk.9.attn_output.weight").type, DType::kQ5_K);
  const auto small = shapes.Choose("Q4_K_S", shared);
  EXPECT_EQ(small.at("blk.3.attn_v.weight").type, DType::kQ5_K);
  EXPECT_EQ(small.at("blk.4.attn_v.weight").type, DType::kQ4_K);
  const auto xs = shapes.Choose("IQ4_XS", shared);
  EXPECT_EQ(xs.at("blk.9.attn_v.weight").type, DType::kQ5_K);
  EXPECT_EQ(xs.at("blk.1.ffn_down.weight").type, DType::kQ5_K);
  const auto half = shapes.Choose("F16", shared);
  EXPECT_EQ(half.at("token_embd.weight").type, DType::kF16);
}

TEST(TypeMix, RowsThatDoNotFitTakeTheSubstitute) {
  const struct {
    DType wanted, at_576, at_100;
  } kSubstitutes[] = {
      {DType::kQ2_K, DType::kQ4_0, DType::kF16}, {DType::kQ3_K, DType::kQ4_0, DType::kF16},
      {DType::kQ4_K, DType::kQ5_0, DType::kF16}, {DType::kQ5_K, DType::kQ5_1, DType::kF16},
      {DType::kQ6_K, DType::kQ8_0, DType::kF16}, {DType::kIQ4_XS, DType::kIQ4_NL, DType::kF16},
      {DType::kQ8_0, DType::kQ8_0, DType::kF16}, {DType::kF32, DType::kF32, DType::kF32}};
  for (const auto& substitute : kSubstitutes) {
    EXPECT_EQ(SubstituteType(substitute.wanted, 512), substitute.wanted);
    EXPECT_EQ(SubstituteType(substitute.wanted, 576), substitute.at_576) << Info(substitute.wanted).name;
    EXPECT_EQ(SubstituteType(substitute.wanted, 100), substitute.at_100) << Info(substitute.wanted).name;
  }
  const auto types = LlamaShapes(30, 576, 1536, true).Choose("Q4_K_M", {30, 9, 3, true, false});
  EXPECT_EQ(types.at("token_embd.weight").type, DType::kQ8_0);
  EXPECT_EQ(types.at("blk.9.attn_q.weight").wanted, DType::kQ4_K);
  EXPECT_EQ(types.at("blk.9.attn_q.weight").type, DType::kQ5_0);
  EXPECT_EQ(types.at("blk.9.ffn_down.weight").type, DType::kQ4_K) << "1536 columns fit";
}

TEST(TypeMix, ForcedTypesWinAndAreRefusedWhereTheyDoNotFit) {
  const LlamaShapes shapes(2, 576, 1536, true);
  const MixedModel model{2, 9, 3, true, false};
  const auto types = shapes.Choose(
      "Q4_0", model, {{"blk.*.ffn_down.weight", DType::kQ6_K}, {"token_embd.weight", DType::kF16}});
  EXPECT_EQ(types.at("blk.1.ffn_down.weight").type, DType::kQ6_K);
  EXPECT_EQ(types.at("token_embd.weight").type, DType::kF16);
  const auto bad = ChooseTypes(*FindTypeMix("Q4_0"), model, shapes.Shapes(),
                               {{"blk.1.attn_q.weight", DType::kQ6_K}}, false);
  ASSERT_FALSE(bad);
  EXPECT_EQ(
      bad.error().message,
      "--tensor-type: blk.1.attn_q.weight: rows of 576 values do not fit Q6_K, which takes multiples of 256");
  const auto absent =
      ChooseTypes(*FindTypeMix("Q4_0"), model, shapes.Shapes(), {{"blk.7.*", DType::kQ8_0}}, false);
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().message.find("blk.7.*: no matrix of the model has this name"), std::string::npos);
}

}  // namespace
}  // namespace hone
