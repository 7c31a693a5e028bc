// Qwen 2 (arXiv 2407.10671): Llama's layer with a bias on query, key and value.
// Qwen 3, dense (arXiv 2505.09388): no biases, but an RMSNorm on every query and key head before RoPE.
#include "language/models/families.h"
#include "language/models/forward.h"
#include "language/models/transformer.h"

namespace hone {
namespace {

class Qwen : public Model {
 public:
  std::vector<AttentionWeights> attention;
  std::vector<MlpWeights> mlp;

  void RunMixer(Forward& f, int i) const override {
    const AttentionWeights& w = attention[static_cast<size_t>(i)];
    const auto x = f.Norm(f.hidden(), w.norm);
    f.Observe(Tensor::kMixerInput, i, x);
    const auto qkv = f.ProjectQueryKeyValue(x, w.query, w.key, w.value);
    if (!w.query_norm.empty()) {
      f.NormInPlace(qkv.query, w.query_norm);
      f.NormInPlace(qkv.key, w.key_norm);
    }
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

Result<std::unique_ptr<Model>> LoadQwen(const ModelConfig& config, WeightLoader& loader, LayerParts parts) {
  auto model = std::make_unique<Qwen>();
  HONE_TRY(model->attention, LoadAttention(loader, config, parts));
  HONE_TRY(model->mlp, LoadMlp(loader, config, parts));
  return model;
}

}  // namespace

Result<std::unique_ptr<Model>> LoadQwen2(const ModelConfig& config, WeightLoader& loader) {
  return LoadQwen(config, loader, {});
}

Result<std::unique_ptr<Model>> LoadQwen3(const ModelConfig& config, WeightLoader& loader) {
  return LoadQwen(config, loader, {.head_norms = true});
}

}  // namespace hone
