// How a paged store is saved: its shape, the runs of its entries, the numbers of the tiles that are kept,
// then their bytes.
#include <cstring>

#include "language/kvcache/paged_store.h"
#include "language/kvcache/snapshot_bytes.h"

namespace hone {
namespace {

// Bytes of one run.
constexpr uint64_t kRunBytes = 6 * sizeof(int32_t);

void AppendRun(const EntryRun& run, std::string& saved) {
  for (int32_t number :
       {run.first_entry, run.count, run.first_position, run.segment, run.other_axes[0], run.other_axes[1]}) {
    AppendBytes(number, saved);
  }
}

// A run that starts at or after `after`, ends within `entries` and whose positions are numbers.
Result<EntryRun> ReadRun(SnapshotReader& reader, int64_t after, int64_t entries) {
  HONE_TRY(const std::string_view bytes, reader.Bytes("runs", kRunBytes));
  int32_t numbers[6];
  std::memcpy(numbers, bytes.data(), kRunBytes);
  const EntryRun run{numbers[0], numbers[1], numbers[2], numbers[3], {numbers[4], numbers[5]}};
  if (run.count < 1 || run.first_entry < after || int64_t{run.first_entry} + run.count > entries) {
    return BadInput(kSnapshotName, "runs", "a run of {} entries from {}, expected within [{}, {})", run.count,
                    run.first_entry, after, entries);
  }
  for (int32_t first : {run.first_position, run.other_axes[0], run.other_axes[1]}) {
    if (int64_t{first} + run.count - 1 > std::numeric_limits<int32_t>::max()) {
      return BadInput(kSnapshotName, "runs", "{} positions from {}, expected below 2^31", run.count, first);
    }
  }
  return run;
}

}  // namespace

void PagedStore::Save(std::string& saved) const {
  AppendBytes<uint32_t>(static_cast<uint32_t>(format_), saved);
  AppendBytes<int32_t>(shape_.kv_heads, saved);
  AppendBytes<int32_t>(shape_.head_dim, saved);
  AppendBytes<int32_t>(shape_.window, saved);
  AppendBytes<int64_t>(entries_, saved);
  AppendBytes<int64_t>(dropped_position_, saved);
  AppendBytes<uint64_t>(runs_.all().size(), saved);
  for (const EntryRun& run : runs_.all()) AppendRun(run, saved);
  std::vector<int64_t> live;
  for (int64_t tile = 0; tile < tile_count(); ++tile) {
    if (tiles_[0][tile] != nullptr) live.push_back(tile);
  }
  AppendBytes<uint64_t>(live.size(), saved);
  for (int64_t tile : live) AppendBytes(tile, saved);
  saved.reserve(saved.size() + live.size() * shape_.kv_heads * plan_.tile_bytes);
  for (int64_t tile : live) {
    for (const auto& head : tiles_) saved.append(reinterpret_cast<const char*>(head[tile]), plan_.tile_bytes);
  }
}

Result<PagedStore::Saved> PagedStore::Parse(std::string_view bytes) const {
  SnapshotReader reader(bytes);
  HONE_CHECK_OK(reader.Expect<uint32_t>("tile format", static_cast<uint32_t>(format_)));
  HONE_CHECK_OK(reader.Expect<int32_t>("kv_heads", shape_.kv_heads));
  HONE_CHECK_OK(reader.Expect<int32_t>("head_dim", shape_.head_dim));
  HONE_CHECK_OK(reader.Expect<int32_t>("window", shape_.window));
  Saved saved;
  HONE_TRY(saved.entries, reader.Number<int64_t>("entries"));
  if (saved.entries < 0 || saved.entries > std::numeric_limits<int32_t>::max()) {
    return BadInput(kSnapshotName, "entries", "{} found, 0 to 2^31 - 1 expected", saved.entries);
  }
  HONE_TRY(saved.dropped_position, reader.Number<int64_t>("dropped position"));
  if (saved.dropped_position != kNothingDropped &&
      (shape_.window == 0 || saved.dropped_position > std::numeric_limits<int32_t>::max() ||
       saved.dropped_position < std::numeric_limits<int32_t>::min())) {
    return BadInput(kSnapshotName, "dropped position", "{} found in a layer with a window of {}",
                    saved.dropped_position, shape_.window);
  }
  HONE_TRY(const uint64_t runs, reader.Number<uint64_t>("number of runs"));
  if (runs > reader.rest().size() / kRunBytes) {
    return BadInput(kSnapshotName, "number of runs", "{} found, {} bytes left", runs, reader.rest().size());
  }
  for (uint64_t i = 0; i < runs; ++i) {
    const int64_t after =
        saved.runs.empty() ? 0 : int64_t{saved.runs.back().first_entry} + saved.runs.back().count;
    HONE_TRY(const EntryRun run, ReadRun(reader, after, saved.entries));
    saved.runs.push_back(run);
  }
  HONE_CHECK_OK(ParseTiles(reader, saved));
  return saved;
}

// The tiles are those that hold an entry, and perhaps the tail, which is to grow.
Result<void> PagedStore::ParseTiles(SnapshotReader& reader, Saved& saved) const {
  HONE_TRY(const uint64_t count, reader.Number<uint64_t>("number of tiles"));
  if (count > reader.rest().size() / sizeof(int64_t)) {
    return BadInput(kSnapshotName, "number of tiles", "{} found, {} bytes left", count, reader.rest().size());
  }
  const EntryRuns runs(saved.runs);
  const int64_t tail = saved.entries % kTileEntries == 0 ? -1 : saved.entries / kTileEntries;
  int64_t covered = 0;  // entries before it are checked
  for (uint64_t i = 0; i < count; ++i) {
    HONE_TRY(const int64_t tile, reader.Number<int64_t>("tiles"));
    const bool rising = tile >= 0 && tile < (saved.entries + kTileEntries - 1) / kTileEntries &&
                        (saved.live_tiles.empty() || tile > saved.live_tiles.back());
    if (!rising)
      return BadInput(kSnapshotName, "tiles", "tile {} found, expected rising numbers below the entries",
                      tile);
    if (runs.ContainsAny(covered, tile * kTileEntries)) break;
    if (tile != tail && !runs.ContainsAny(tile * kTileEntries, (tile + 1) * kTileEntries)) {
      return BadInput(kSnapshotName, "tiles", "tile {} holds no entry, expected one", tile);
    }
    covered = (tile + 1) * kTileEntries;
    saved.live_tiles.push_back(tile);
  }
  if (runs.ContainsAny(covered, saved.entries)) {
    return BadInput(kSnapshotName, "tiles", "entries after {} lie in no tile, expected each in one", covered);
  }
  const uint64_t numbers = count * shape_.kv_heads * plan_.tile_bytes;
  if (reader.rest().size() != numbers) {
    return BadInput(kSnapshotName, "numbers", "{} bytes found, {} expected", reader.rest().size(), numbers);
  }
  saved.numbers = reader.rest();
  return {};
}

Result<void> PagedStore::PagesToRestore(std::string_view bytes, std::vector<uint64_t>& sizes) const {
  if (entries_ != 0)
    return WrongUsage("{}: the cache holds {} entries, expected none", kSnapshotName, entries_);
  HONE_TRY(const Saved saved, Parse(bytes));
  int64_t groups = 0;
  int64_t next = -1;  // the tile that the last group can still take
  int slots = 0;
  for (int64_t tile : saved.live_tiles) {
    if (tile != next || slots == 0) {
      ++groups;
      slots = plan_.tiles;
    }
    --slots;
    next = tile + 1;
  }
  const int64_t pages = groups * shape_.kv_heads - static_cast<int64_t>(given_.size());
  if (pages > 0) sizes.insert(sizes.end(), pages, plan_.page_bytes);
  return {};
}

Result<void> PagedStore::Restore(std::string_view bytes) {
  std::vector<uint64_t> missing;
  HONE_CHECK_OK(PagesToRestore(bytes, missing));
  if (!missing.empty())
    return Failed("{}: {} pages more are needed than were reserved", kSnapshotName, missing.size());
  HONE_TRY(Saved saved, Parse(bytes));
  entries_ = saved.entries;
  dropped_position_ = saved.dropped_position;
  runs_ = EntryRuns(std::move(saved.runs));
  const char* source = saved.numbers.data();
  for (int64_t tile : saved.live_tiles) {
    AddTile(tile);
    for (auto& head : tiles_) {
      std::memcpy(head[tile], source, plan_.tile_bytes);
      source += plan_.tile_bytes;
    }
  }
  for (auto& head : tiles_) head.resize((entries_ + kTileEntries - 1) / kTileEntries);
  first_tile_ =
      dropped_position_ == kNothingDropped || saved.live_tiles.empty() ? 0 : saved.live_tiles.front();
  given_.clear();
  ShowTiles();
  return {};
}

}  // namespace hone
