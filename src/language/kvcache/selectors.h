// The selectors that are built in. Each is one file.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "language/kvcache/kv_selector.h"

namespace hone {

// The first `sinks` positions and the last `window`, the row's own included (StreamingLLM, arXiv 2309.17453;
// by KV head: MoA, arXiv 2406.14909). A window of 0: the head sees everything.
struct SinkWindow {
  int32_t sinks = 0;
  int32_t window = 0;
};
// rules: [layers][kv_heads].
std::unique_ptr<KvSelector> MakeSinkWindowSelector(std::vector<std::vector<SinkWindow>> rules);

// Which blocks of `block` entries each block of rows attends to: bit kept[row block * blocks + block].
// Entries beyond the mask are seen by all.
struct BlockMask {
  int32_t block = 0;  // a multiple of kTileEntries
  int64_t blocks = 0;
  std::vector<bool> kept;  // [blocks, blocks]
};
// masks: [layers][kv_heads].
std::unique_ptr<KvSelector> MakeBlockMaskSelector(std::vector<std::vector<BlockMask>> masks);

// Given entries, [layers][kv_heads], rising, and the row's own.
std::unique_ptr<KvSelector> MakeEntryListSelector(std::vector<std::vector<std::vector<int32_t>>> lists);

}  // namespace hone
