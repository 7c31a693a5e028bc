// A cache that rounds keys and values before anyone reads them: what a low-bit cache loses. Keys are rounded
// as they come, after the rotation; attention of a prompt over itself sees rounded ones too (arXiv
// 2402.18158).
#pragma once

#include <cstdint>
#include <memory>

#include "language/kvcache/kv_store.h"

namespace hone {

// Asymmetric grids of `bits` bits for each token, KV head and stretch of `group` channels; the rounded values
// lie in `inner`.
std::unique_ptr<KvStore> MakeRoundingStore(std::unique_ptr<KvStore> inner, int bits, int64_t group);

}  // namespace hone
