// Llama 2 and 3, Mistral, SmolLM2, Megrez (Touvron et al. 2023, arXiv 2302.13971 and 2307.09288): pre-norm,
// grouped query heads, RoPE, SwiGLU.
#include "language/models/families.h"
#include "language/models/forward.h"
#include "language/models/transformer.h"

namespace hone {
namespace {

class Llama : public Model {
 public:
  std::vector<AttentionWeights> attention;
  std::vector<MlpWeights> mlp;

  void RunMixer(Forward& f, int i) const override {
    const AttentionWeights& w = attention[static_cast<size_t>(i)];
    const auto x = f.Norm(f.hidden(), w.norm);
    f.Observe(Tensor::kMixerInput, i, x);
    const auto qkv = f.ProjectQueryKeyValue(x, w.query, w.key, w.value);
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
    const auto activation = f.Gate(GateActivation::kSilu, i, f.ProjectGateUp(x, w.gate, w.up));
    f.AddToHidden(f.Project(activation, w.down));
  }
};

}  // namespace

Result<std::unique_ptr<Model>> LoadLlama(const ModelConfig& config, WeightLoader& loader) {
  auto model = std::make_unique<Llama>();
  HONE_TRY(model->attention, LoadAttention(loader, config, {}));
  HONE_TRY(model->mlp, LoadMlp(loader, config, {}));
  return model;
}

}  // namespace hone
