#include "language/decoding/long_rope.h"

namespace hone {

Result<void> ChooseRopeFactors(const ModelConfig& config, int64_t length, Sequence& sequence) {
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind != RopeScalingKind::kLongRope || scaling.original_context <= 0) return {};
  const bool wanted = length > scaling.original_context;
  if (wanted == sequence.long_rope) return {};
  HONE_CHECK_OK(sequence.cache.TruncateToPosition(0));
  sequence.cached = 0;
  sequence.long_rope = wanted;
  return {};
}

}  // namespace hone
