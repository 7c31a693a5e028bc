// Gemma 3 (arXiv 2503.19786): five sliding-window layers to one of full attention, each kind with its own
// RoPE base; an RMSNorm on every query and key head; norms before and after both halves of a layer; GeGLU;
// embeddings times sqrt(width).
#include "language/models/families.h"
#include "language/models/forward.h"
#include "language/models/transformer.h"

namespace hone {
namespace {

class Gemma3 : public Model {
 public:
  std::vector<AttentionWeights> attention;
  std::vector<MlpWeights> mlp;

  void RunMixer(Forward& f, int i) const override {
    const AttentionWeights& w = attention[static_cast<size_t>(i)];
    const auto x = f.Norm(f.hidden(), w.norm);
    f.Observe(Tensor::kMixerInput, i, x);
    const auto qkv = f.ProjectQueryKeyValue(x, w.query, w.key, w.value);
    f.NormInPlace(qkv.query, w.query_norm);
    f.NormInPlace(qkv.key, w.key_norm);
    f.Rotate(config().window[static_cast<size_t>(i)] > 0 ? RopeKind::kLocal : RopeKind::kGlobal, qkv);
    const auto y = f.Attend(i, x, qkv);
    const auto mixed = f.Project(y, w.output);
    f.NormInPlace(mixed, w.post_norm);
    f.Observe(Tensor::kMixerOutput, i, mixed);
    f.AddToHidden(mixed);
  }

  void RunMlp(Forward& f, int i) const override {
    const MlpWeights& w = mlp[static_cast<size_t>(i)];
    const auto x = f.Norm(f.hidden(), w.norm);
    f.Observe(Tensor::kMlpInput, i, x);
    const auto activation = f.Gate(GateActivation::kGelu, i, f.ProjectGateUp(x, w.gate, w.up));
    const auto y = f.Project(activation, w.down);
    f.NormInPlace(y, w.post_norm);
    f.AddToHidden(y);
  }
};

}  // namespace

Result<std::unique_ptr<Model>> LoadGemma3(const ModelConfig& config, WeightLoader& loader) {
  constexpr LayerParts kParts{.head_norms = true, .post_norms = true};
  auto model = std::make_unique<Gemma3>();
  HONE_TRY(model->attention, LoadAttention(loader, config, kParts));
  HONE_TRY(model->mlp, LoadMlp(loader, config, kParts));
  return model;
}

}  // namespace hone
