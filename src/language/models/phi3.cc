// Phi 3 and Phi 4 mini (arXiv 2404.14219): Llama's layer with one matrix for query, key and value and one for
// gate and up; LongRoPE (arXiv 2402.13753) for long contexts, part of each head rotated in Phi 4 mini.
#include "language/models/families.h"
#include "language/models/forward.h"
#include "language/models/transformer.h"

namespace hone {
namespace {

class Phi3 : public Model {
 public:
  std::vector<AttentionWeights> attention;
  std::vector<MlpWeights> mlp;

  void RunMixer(Forward& f, int i) const override {
    const AttentionWeights& w = attention[static_cast<size_t>(i)];
    const auto x = f.Norm(f.hidden(), w.norm);
    f.Observe(Tensor::kMixerInput, i, x);
    const auto qkv = f.ProjectQueryKeyValue(x, w.fused);
    f.Rotate(RopeKind::kGlobal, qkv);
    const auto y = f.Attend(i, x, qkv);
    const auto mixed = f.Project(y, w.output);
    f.Observe(Tensor::kMixerOutput, i, mixed);
    f.AddToHidden(mixed);
  }

  void RunMlp(Forward& f, int i) const override {
    const MlpWeights& w = mlp[static_cast<size_t>(i)];
    const auto x = f.Norm(f.hidden(), w.norm);
    f.Observe(Tensor::kMlpInput, i, x);
    const auto activation = f.Gate(GateActivation::kSilu, i, f.ProjectGateUp(x, w.fused));
    f.AddToHidden(f.Project(activation, w.down));
  }
};

}  // namespace

Result<std::unique_ptr<Model>> LoadPhi3(const ModelConfig& config, WeightLoader& loader) {
  constexpr LayerParts kParts{.fused = true};
  auto model = std::make_unique<Phi3>();
  HONE_TRY(model->attention, LoadAttention(loader, config, kParts));
  HONE_TRY(model->mlp, LoadMlp(loader, config, kParts));
  return model;
}

}  // namespace hone
