#include "language/kvcache/paged_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hone {
namespace {

int64_t TilesFor(int64_t entries) { return (entries + kTileEntries - 1) / kTileEntries; }

}  // namespace

bool PagedStore::Group::shared() const {
  return std::any_of(pages.begin(), pages.end(), [](const PageRef& page) { return page.shared(); });
}

PagedStore::PagedStore(const KvLayerShape& shape, TileFormat format, int64_t slack)
    : shape_(shape),
      format_(format),
      slack_(slack),
      plan_(PlanPages(format, shape.head_dim)),
      tiles_(shape.kv_heads),
      views_(shape.kv_heads) {
  ShowTiles();
}

KvCapabilities PagedStore::capabilities() const {
  return {.rollback = shape_.window == 0 ? KvCapabilities::kAnyDepth : slack_,
          .share_prefix = true,
          .read_span = true,
          .replace_span = true};
}

int64_t PagedStore::NextTile() const {
  const int64_t tile = entries_ / kTileEntries;
  const bool in_place = tail_is_partial() && tiles_[0][tile] != nullptr && !groups_.back().shared();
  return in_place ? tile + 1 : tile;
}

int64_t PagedStore::FreeSlots(int64_t next_tile) const {
  if (groups_.empty() || groups_.back().end() != next_tile || groups_.back().shared()) return 0;
  return plan_.tiles - groups_.back().tiles;
}

int64_t PagedStore::GroupsFor(int64_t rows) const {
  if (rows <= 0) return 0;
  const int64_t next_tile = NextTile();
  const int64_t tiles = TilesFor(entries_ + rows) - next_tile;
  if (tiles == 0) return 0;
  return (std::max<int64_t>(tiles - FreeSlots(next_tile), 0) + plan_.tiles - 1) / plan_.tiles;
}

void PagedStore::PagesFor(int64_t rows, std::vector<uint64_t>& sizes) const {
  const int64_t pages = GroupsFor(rows) * shape_.kv_heads - static_cast<int64_t>(given_.size());
  if (pages > 0) sizes.insert(sizes.end(), pages, plan_.page_bytes);
}

void PagedStore::GivePages(std::span<PageRef> pages) {
  for (PageRef& page : pages) {
    if (page.size() == plan_.page_bytes) given_.push_back(std::move(page));
  }
}

Result<void> PagedStore::CheckAppend(std::span<const Position> positions,
                                     std::span<const int32_t> segments) const {
  const auto rows = static_cast<int64_t>(positions.size());
  if (segments.size() != positions.size()) {
    return WrongUsage("KV cache: {} positions and {} segments for the same rows", rows, segments.size());
  }
  if (entries_ + rows > std::numeric_limits<int32_t>::max()) {
    return WrongUsage("KV cache: {} entries more than the {} there are: too many", rows, entries_);
  }
  const int64_t pages = GroupsFor(rows) * shape_.kv_heads;
  if (pages > static_cast<int64_t>(given_.size())) {
    return Failed("KV cache: {} rows need {} pages, {} were reserved", rows, pages, given_.size());
  }
  return {};
}

Result<void> PagedStore::BeginAppend(std::span<const Position> positions, std::span<const int32_t> segments) {
  HONE_CHECK_OK(CheckAppend(positions, segments));
  if (positions.empty()) return {};
  const auto rows = static_cast<int64_t>(positions.size());
  if (shape_.window > 0) {
    int64_t lowest = positions[0][0];
    for (const Position& position : positions) lowest = std::min<int64_t>(lowest, position[0]);
    if (dropped_position_ > lowest - shape_.window) {
      return WrongUsage(
          "KV cache: a row at position {} sees {} positions back, but those up to {} were let go", lowest,
          shape_.window, dropped_position_);
    }
    PlaceTiles(rows);
    DropPassed(lowest, rows);
  } else {
    PlaceTiles(rows);
  }
  for (int64_t i = 0; i < rows; ++i) {
    runs_.Append(static_cast<int32_t>(entries_ + i), positions[i], segments[i]);
  }
  entries_ += rows;
  return {};
}

void PagedStore::PlaceTiles(int64_t rows) {
  const int64_t first = NextTile();
  const int64_t last = TilesFor(entries_ + rows);
  if (first == last) return;
  int64_t tile = first;
  if (tail_is_partial() && tile == entries_ / kTileEntries && tiles_[0][tile] != nullptr) {
    const Group old = groups_.back();
    --groups_.back().tiles;
    for (auto& head : tiles_) head.resize(tile);
    TrimTail();
    AddTile(tile);
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::byte* source = old.pages[head].data() + (tile - old.first_tile) * plan_.tile_bytes;
      if (tiles_[head][tile] != source) std::memcpy(tiles_[head][tile], source, plan_.tile_bytes);
    }
    ++tile;
  }
  for (; tile < last; ++tile) {
    AddTile(tile);
    if ((tile + 1) * kTileEntries <= entries_ + rows) continue;  // will be written in full
    for (auto& head : tiles_) std::memset(head[tile], 0, plan_.tile_bytes);
  }
  ShowTiles();
}

void PagedStore::AddTile(int64_t tile) {
  if (FreeSlots(tile) == 0) {
    const auto pages = given_.end() - shape_.kv_heads;
    groups_.push_back({tile, 0, {std::move_iterator(pages), std::move_iterator(given_.end())}});
    given_.erase(pages, given_.end());
  }
  Group& group = groups_.back();
  for (int head = 0; head < shape_.kv_heads; ++head) {
    tiles_[head].resize(tile + 1);
    tiles_[head][tile] = group.pages[head].data() + group.tiles * plan_.tile_bytes;
  }
  ++group.tiles;
}

// Lets go the oldest whole tiles that neither the new rows nor, after a rollback of `slack_`, the next ones
// can see.
void PagedStore::DropPassed(int64_t lowest_position, int64_t rows) {
  const int64_t passed = lowest_position - shape_.window - std::max<int64_t>(slack_ - rows, 0);
  int64_t tile = first_tile_;
  for (; (tile + 1) * kTileEntries <= entries_; ++tile) {
    const auto highest = runs_.HighestPosition(tile * kTileEntries, (tile + 1) * kTileEntries);
    if (highest && *highest > passed) break;
    if (highest) dropped_position_ = std::max<int64_t>(dropped_position_, *highest);
  }
  if (tile == first_tile_) return;
  runs_.Erase(0, tile * kTileEntries);
  ReleaseTiles(std::exchange(first_tile_, tile), tile);
}

// A group goes back to the pool with its last tile.
void PagedStore::ReleaseTiles(int64_t begin, int64_t end) {
  for (auto& head : tiles_) std::fill(head.begin() + begin, head.begin() + end, nullptr);
  const auto is_empty = [&](const Group& group) {
    const auto first = tiles_[0].begin() + group.first_tile;
    return std::all_of(first, first + group.tiles, [](const std::byte* tile) { return tile == nullptr; });
  };
  const auto first =
      std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.end() > begin; });
  const auto last = std::find_if(first, groups_.end(), [&](const Group& g) { return g.first_tile >= end; });
  groups_.erase(std::remove_if(first, last, is_empty), last);
}

// Takes erased tiles off the end of the last groups.
void PagedStore::TrimTail() {
  while (!groups_.empty()) {
    Group& group = groups_.back();
    while (group.tiles > 0 && tiles_[0][group.end() - 1] == nullptr) --group.tiles;
    if (group.tiles > 0) return;
    groups_.pop_back();
  }
}

// Entries from `first` on of one KV head, tile by tile.
void PagedStore::WriteSpan(int kv_head, int64_t first, MatrixView<const float> keys,
                           MatrixView<const float> values) {
  const int64_t column = int64_t{kv_head} * shape_.head_dim;
  keys = keys.slice_columns(column, shape_.head_dim);
  values = values.slice_columns(column, shape_.head_dim);
  for (int64_t row = 0; row < keys.rows;) {
    const int64_t entry = first + row;
    const int64_t count = std::min(keys.rows - row, kTileEntries - entry % kTileEntries);
    WriteEntries(format_, static_cast<int>(entry % kTileEntries), keys.slice_rows(row, count),
                 values.slice_rows(row, count), tiles_[kv_head][entry / kTileEntries]);
    row += count;
  }
}

void PagedStore::WriteHead(int kv_head, const KvRows& rows) {
  WriteSpan(kv_head, entries_ - rows.key.rows, rows.key, rows.value);
}

Result<void> PagedStore::CheckTruncate(int64_t entries) const {
  if (entries < 0 || entries > entries_) {
    return WrongUsage("KV cache: cannot keep {} entries of {}", entries, entries_);
  }
  if (entries == 0 || entries == entries_ || dropped_position_ == kNothingDropped) return {};
  const auto highest = runs_.HighestPosition(0, entries);
  if (highest && *highest + 1 - shape_.window >= dropped_position_) return {};
  return WrongUsage("KV cache: cannot go back to {} of {} entries: a window of {} let go positions up to {}",
                    entries, entries_, shape_.window, dropped_position_);
}

Result<void> PagedStore::Truncate(int64_t entries) {
  HONE_CHECK_OK(CheckTruncate(entries));
  given_.clear();
  entries_ = entries;
  runs_.Truncate(entries);
  const int64_t tiles = TilesFor(entries);
  while (!groups_.empty() && groups_.back().first_tile >= tiles) groups_.pop_back();
  if (!groups_.empty()) {
    groups_.back().tiles =
        static_cast<int>(std::min(groups_.back().end(), tiles) - groups_.back().first_tile);
  }
  for (auto& head : tiles_) head.resize(tiles);
  TrimTail();
  if (entries == 0) {
    first_tile_ = 0;
    dropped_position_ = kNothingDropped;
  }
  ShowTiles();
  return {};
}

std::unique_ptr<KvStore> PagedStore::Fork() const {
  std::unique_ptr<PagedStore> fork(new PagedStore(*this));
  fork->given_.clear();
  fork->ShowTiles();
  return fork;
}

Result<void> PagedStore::Erase(int64_t begin, int64_t end) {
  if (begin < 0 || begin > end || end > entries_) {
    return WrongUsage("KV cache: cannot erase entries [{}, {}) of {}", begin, end, entries_);
  }
  if (begin == end) return {};
  runs_.Erase(begin, end);
  for (int64_t tile = begin / kTileEntries; tile < TilesFor(end); ++tile) {
    const bool grows = (tile + 1) * kTileEntries > entries_;
    if (grows || tiles_[0][tile] == nullptr) continue;
    if (!runs_.ContainsAny(tile * kTileEntries, (tile + 1) * kTileEntries)) ReleaseTiles(tile, tile + 1);
  }
  return {};
}

Result<void> PagedStore::CheckThere(int64_t begin, int64_t end) const {
  if (begin < 0 || begin > end || end > entries_ || !runs_.ContainsAll(begin, end)) {
    return WrongUsage("KV cache: entries [{}, {}) of {} are not all there", begin, end, entries_);
  }
  return {};
}

Result<void> PagedStore::CheckSpan(int64_t begin, int64_t end, int64_t rows, int64_t columns) const {
  HONE_CHECK_OK(CheckThere(begin, end));
  const int64_t width = int64_t{shape_.kv_heads} * shape_.head_dim;
  if (rows == end - begin && columns == width) return {};
  return WrongUsage("KV cache: entries [{}, {}) of {} numbers do not fit into a matrix of {} by {}", begin,
                    end, width, rows, columns);
}

Result<void> PagedStore::Read(int64_t begin, int64_t end, MatrixView<float> keys,
                              MatrixView<float> values) const {
  HONE_CHECK_OK(CheckSpan(begin, end, keys.rows, keys.columns));
  HONE_CHECK_OK(CheckSpan(begin, end, values.rows, values.columns));
  for (int64_t entry = begin; entry < end; ++entry) {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const int64_t column = int64_t{head} * shape_.head_dim;
      ReadEntry(format_, shape_.head_dim, static_cast<int>(entry % kTileEntries),
                tiles_[head][entry / kTileEntries], keys.row(entry - begin) + column,
                values.row(entry - begin) + column);
    }
  }
  return {};
}

// The groups that hold tiles of entries [begin, end).
std::span<const PagedStore::Group> PagedStore::GroupsOf(int64_t begin, int64_t end) const {
  if (begin >= end) return {};
  const auto first = std::partition_point(groups_.begin(), groups_.end(), [&](const Group& group) {
    return group.end() * kTileEntries <= begin;
  });
  const auto last = std::partition_point(
      first, groups_.end(), [&](const Group& group) { return group.first_tile * kTileEntries < end; });
  return {first, last};
}

void PagedStore::PagesToReplace(int64_t begin, int64_t end, std::vector<uint64_t>& sizes) const {
  for (const Group& group : GroupsOf(begin, end)) {
    if (group.shared()) sizes.insert(sizes.end(), shape_.kv_heads, plan_.page_bytes);
  }
}

Result<void> PagedStore::Replace(int64_t begin, int64_t end, MatrixView<const float> keys,
                                 MatrixView<const float> values, std::span<PageRef> pages) {
  HONE_CHECK_OK(CheckSpan(begin, end, keys.rows, keys.columns));
  HONE_CHECK_OK(CheckSpan(begin, end, values.rows, values.columns));
  std::vector<uint64_t> needed;
  PagesToReplace(begin, end, needed);
  if (needed.size() > pages.size()) {
    return Failed("KV cache: replacing entries [{}, {}) needs {} pages, {} were reserved", begin, end,
                  needed.size(), pages.size());
  }
  for (const Group& touched : GroupsOf(begin, end)) {
    if (!touched.shared() || pages.empty()) continue;
    CopyGroup(groups_[&touched - groups_.data()], pages.first(shape_.kv_heads));
    pages = pages.subspan(shape_.kv_heads);
  }
  for (int head = 0; head < shape_.kv_heads; ++head) WriteSpan(head, begin, keys, values);
  return {};
}

void PagedStore::CopyGroup(Group& group, std::span<PageRef> pages) {
  for (int head = 0; head < shape_.kv_heads; ++head) {
    for (int slot = 0; slot < group.tiles; ++slot) {
      std::byte*& tile = tiles_[head][group.first_tile + slot];
      if (tile == nullptr) continue;
      std::byte* copy = pages[head].data() + slot * plan_.tile_bytes;
      std::memcpy(copy, tile, plan_.tile_bytes);
      tile = copy;
    }
    group.pages[head] = std::move(pages[head]);
  }
}

void PagedStore::ShowTiles() {
  for (int head = 0; head < shape_.kv_heads; ++head) views_[head] = {format_, tiles_[head]};
}

uint64_t PagedStore::bytes() const {
  return (groups_.size() * shape_.kv_heads + given_.size()) * plan_.page_bytes;
}

std::unique_ptr<KvStore> MakePagedStore(const KvLayerShape& shape, TileFormat format, int64_t slack) {
  return std::make_unique<PagedStore>(shape, format, slack);
}

}  // namespace hone
