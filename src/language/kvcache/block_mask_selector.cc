// A mask of blocks for each head, as block-sparse prefill methods find them. Cost: the tile list of a row.
#include "language/kvcache/selectors.h"

namespace hone {
namespace {

class BlockMaskSelector : public KvSelector {
 public:
  explicit BlockMaskSelector(std::vector<std::vector<BlockMask>> masks) : masks_(std::move(masks)) {}

  bool Selects(int layer) const override { return layer < static_cast<int>(masks_.size()); }

  void Select(const KvQuery& query, int64_t row, int kv_head, KvSelection& selection) override {
    const BlockMask& mask = masks_[static_cast<size_t>(query.layer)][static_cast<size_t>(kv_head)];
    const int64_t row_block = query.entry(row) / mask.block;
    if (row_block >= mask.blocks) return;
    selection.kind = KvSelectionKind::kTiles;
    const int32_t tiles = mask.block / kTileEntries;
    for (int64_t block = 0; block < mask.blocks; ++block) {
      if (!mask.kept[static_cast<size_t>(row_block * mask.blocks + block)]) continue;
      for (int32_t i = 0; i < tiles; ++i) selection.list.push_back(static_cast<int32_t>(block) * tiles + i);
    }
  }

 private:
  std::vector<std::vector<BlockMask>> masks_;
};

}  // namespace

std::unique_ptr<KvSelector> MakeBlockMaskSelector(std::vector<std::vector<BlockMask>> masks) {
  return std::make_unique<BlockMaskSelector>(std::move(masks));
}

}  // namespace hone
