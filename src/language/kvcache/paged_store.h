// Pages of float16 or float32 tiles, every entry kept or a sliding window of them.
//
// A group is one page a KV head that holds consecutive tiles. Only the last group grows, and only while
// nobody shares it: a fork that writes copies the tail tile alone into a group of its own. Costs: TileBytes /
// 32 a (KV head, entry), the page's waste (page_plan.h), the unfilled part of the last page. Composes with
// everything; what it keeps is exact up to the rounding of the tile format.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "language/kvcache/entry_runs.h"
#include "language/kvcache/kv_store.h"
#include "language/kvcache/page_plan.h"

namespace hone {

class SnapshotReader;

class PagedStore : public KvStore {
 public:
  PagedStore(const KvLayerShape& shape, TileFormat format, int64_t slack);

  const KvLayerShape& shape() const override { return shape_; }
  KvCapabilities capabilities() const override;
  int64_t entries() const override { return entries_; }
  std::span<const EntryRun> runs() const override { return runs_.all(); }
  std::span<const KvTiles> tiles() const override { return views_; }

  void PagesFor(int64_t rows, std::vector<uint64_t>& sizes) const override;
  void GivePages(std::span<PageRef> pages) override;
  Result<void> BeginAppend(std::span<const Position> positions, std::span<const int32_t> segments) override;
  void WriteHead(int kv_head, const KvRows& rows) override;

  Result<void> CheckTruncate(int64_t entries) const override;
  Result<void> Truncate(int64_t entries) override;
  std::unique_ptr<KvStore> Fork() const override;
  Result<void> Erase(int64_t begin, int64_t end) override;
  Result<void> Read(int64_t begin, int64_t end, MatrixView<float> keys,
                    MatrixView<float> values) const override;
  void PagesToReplace(int64_t begin, int64_t end, std::vector<uint64_t>& sizes) const override;
  Result<void> Replace(int64_t begin, int64_t end, MatrixView<const float> keys,
                       MatrixView<const float> values, std::span<PageRef> pages) override;

  void Save(std::string& saved) const override;
  Result<void> PagesToRestore(std::string_view saved, std::vector<uint64_t>& sizes) const override;
  Result<void> Restore(std::string_view saved) override;

  uint64_t bytes() const override;

 private:
  static constexpr int64_t kNothingDropped = std::numeric_limits<int64_t>::min();

  struct Group {
    int64_t first_tile = 0;
    int tiles = 0;
    std::vector<PageRef> pages;  // [kv_heads]

    bool shared() const;
    int64_t end() const { return first_tile + tiles; }
  };
  // What a saved store holds besides its tiles' numbers.
  struct Saved {
    int64_t entries = 0;
    int64_t dropped_position = kNothingDropped;
    std::vector<EntryRun> runs;
    std::vector<int64_t> live_tiles;
    std::string_view numbers;  // by tile, then KV head
  };

  PagedStore(const PagedStore& other) = default;
  int64_t tile_count() const { return static_cast<int64_t>(tiles_[0].size()); }
  bool tail_is_partial() const { return entries_ % kTileEntries != 0; }
  // The first tile that an append must find a place for: a new one, or the tail where it is shared or was
  // erased.
  int64_t NextTile() const;
  int64_t FreeSlots(int64_t next_tile) const;
  int64_t GroupsFor(int64_t rows) const;
  Result<void> CheckAppend(std::span<const Position> positions, std::span<const int32_t> segments) const;
  void AddTile(int64_t tile);
  void PlaceTiles(int64_t rows);
  void DropPassed(int64_t lowest_position, int64_t rows);
  void ReleaseTiles(int64_t begin, int64_t end);
  void TrimTail();
  void WriteSpan(int kv_head, int64_t first, MatrixView<const float> keys, MatrixView<const float> values);
  void CopyGroup(Group& group, std::span<PageRef> pages);
  void ShowTiles();
  Result<void> CheckThere(int64_t begin, int64_t end) const;
  Result<void> CheckSpan(int64_t begin, int64_t end, int64_t rows, int64_t columns) const;
  std::span<const Group> GroupsOf(int64_t begin, int64_t end) const;
  Result<Saved> Parse(std::string_view saved) const;
  Result<void> ParseTiles(SnapshotReader& reader, Saved& saved) const;

  KvLayerShape shape_;
  TileFormat format_;
  int64_t slack_;
  PagePlan plan_;
  int64_t entries_ = 0;
  int64_t dropped_position_ = kNothingDropped;  // the highest that a window let go
  int64_t first_tile_ = 0;                      // all before it were dropped by the window
  EntryRuns runs_;
  std::vector<Group> groups_;                   // by rising tile
  std::vector<std::vector<std::byte*>> tiles_;  // [kv_heads][tiles]; null where nothing is
  std::vector<KvTiles> views_;                  // [kv_heads]
  std::vector<PageRef> given_;
};

}  // namespace hone
