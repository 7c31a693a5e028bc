#include "language/models/model.h"

#include "language/models/forward.h"

namespace hone {

Result<RopeTables> MakeRopeTables(const ModelConfig& config, const std::string& path) {
  RopeTables tables;
  const RopeConfig global{config.rope_dimensions, config.rope_base, config.rope_scaling};
  for (const LongRopeSet set : {LongRopeSet::kShort, LongRopeSet::kLong}) {
    HONE_TRY(tables.global[static_cast<size_t>(set)], MakeRopeFrequencies(path, global, set));
  }
  HONE_TRY(tables.local, MakeRopeFrequencies(path, {config.rope_dimensions, config.local_rope_base}));
  return tables;
}

void Model::Embed(Forward& forward) const { forward.LookUp(embedding_, config_.embedding_scale); }

void Model::Head(Forward& forward, MatrixView<const float> hidden, std::span<const TokenId> ids,
                 MatrixView<float> logits) const {
  const MatrixView<float> x = forward.Norm(hidden, output_norm_);
  if (ids.empty()) {
    forward.Multiply(x, head_, logits);
  } else {
    forward.MultiplyRows(x, head_, ids, logits);
  }
  if (config_.logit_scale != 1.0f) forward.Scale(config_.logit_scale, logits);
}

KvCache Model::MakeCache(std::shared_ptr<PagePool> pool, NumericMode mode) const {
  std::vector<std::unique_ptr<KvStore>> layers;
  for (const int window : config_.window) {
    const TileFormat format = mode == NumericMode::kExact ? TileFormat::kF32 : TileFormat::kF16;
    layers.push_back(MakePagedStore({config_.kv_heads, config_.head_dim, window}, format));
  }
  return KvCache(std::move(pool), std::move(layers));
}

}  // namespace hone
