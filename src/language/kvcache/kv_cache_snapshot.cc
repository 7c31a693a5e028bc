// The snapshot of a cache: a header, every layer's length and bytes, and a checksum over all of it.
#include <algorithm>
#include <cstring>

#include "language/kvcache/kv_cache.h"
#include "language/kvcache/snapshot_bytes.h"

namespace hone {
namespace {

constexpr uint64_t kMagic = 0x31766b656e6f68;  // "honekv1"
constexpr uint32_t kVersion = 1;

// Finds damage, not forgery: words of 8 bytes mixed by multiplication (the constants of splitmix64).
uint64_t Checksum(std::string_view bytes) {
  uint64_t sum = 0x9e3779b97f4a7c15 ^ bytes.size();
  while (!bytes.empty()) {
    uint64_t word = 0;
    const size_t taken = std::min(bytes.size(), sizeof(word));
    std::memcpy(&word, bytes.data(), taken);
    bytes.remove_prefix(taken);
    sum = (sum ^ word) * 0xbf58476d1ce4e5b9;
    sum ^= sum >> 29;
  }
  return sum;
}

// The saved bytes of every layer.
Result<std::vector<std::string_view>> Layers(std::string_view snapshot, size_t expected) {
  if (snapshot.size() < sizeof(uint64_t)) {
    return BadInput(kSnapshotName, "header", "{} bytes found, at least 24 expected", snapshot.size());
  }
  const std::string_view body = snapshot.substr(0, snapshot.size() - sizeof(uint64_t));
  SnapshotReader reader(body);
  HONE_CHECK_OK(reader.Expect<uint64_t>("magic", kMagic));
  HONE_CHECK_OK(reader.Expect<uint32_t>("version", kVersion));
  HONE_CHECK_OK(reader.Expect<uint32_t>("layers", static_cast<uint32_t>(expected)));
  SnapshotReader tail(snapshot.substr(body.size()));
  HONE_CHECK_OK(tail.Expect<uint64_t>("checksum", Checksum(body)));
  std::vector<std::string_view> layers;
  for (size_t i = 0; i < expected; ++i) {
    HONE_TRY(const uint64_t size, reader.Number<uint64_t>("size of a layer"));
    HONE_TRY(const std::string_view layer, reader.Bytes("layer", size));
    layers.push_back(layer);
  }
  if (!reader.rest().empty()) {
    return BadInput(kSnapshotName, "layers", "{} bytes after the last, none expected", reader.rest().size());
  }
  return layers;
}

}  // namespace

Result<std::string> KvCache::Snapshot() const {
  std::string snapshot;
  AppendBytes(kMagic, snapshot);
  AppendBytes(kVersion, snapshot);
  AppendBytes(static_cast<uint32_t>(layers_.size()), snapshot);
  for (const auto& layer : layers_) {
    const size_t at = snapshot.size();
    AppendBytes<uint64_t>(0, snapshot);
    layer->Save(snapshot);
    const uint64_t size = snapshot.size() - at - sizeof(uint64_t);
    std::memcpy(snapshot.data() + at, &size, sizeof(size));
  }
  AppendBytes(Checksum(snapshot), snapshot);
  return snapshot;
}

Result<void> KvCache::Restore(std::string_view snapshot) {
  HONE_TRY(const std::vector<std::string_view> saved, Layers(snapshot, layers_.size()));
  std::vector<uint64_t> sizes;
  std::vector<size_t> ends;
  for (size_t i = 0; i < layers_.size(); ++i) {
    HONE_CHECK_OK(layers_[i]->PagesToRestore(saved[i], sizes));
    ends.push_back(sizes.size());
  }
  HONE_TRY(std::vector<PageRef> pages, pool_->Reserve(sizes));
  size_t begin = 0;
  for (size_t i = 0; i < layers_.size(); begin = ends[i], ++i) {
    layers_[i]->GivePages(std::span(pages).subspan(begin, ends[i] - begin));
    HONE_CHECK_OK(layers_[i]->Restore(saved[i]));
  }
  return {};
}

}  // namespace hone
