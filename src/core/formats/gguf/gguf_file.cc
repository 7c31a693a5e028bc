#include "core/formats/gguf/gguf_file.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "core/base/printable.h"
#include "core/formats/gguf/gguf_shard.h"

namespace hone {

struct GgufFile::Parts {
  std::string path;
  std::vector<GgufShard> shards;
  std::vector<FileTensor> tensors;
  std::unordered_map<std::string_view, const GgufValue*> keys;
  std::unordered_map<std::string_view, const FileTensor*> names;
};

namespace {

// The name PREFIX-00002-of-00003.gguf, taken apart.
struct ShardName {
  std::string prefix;
  int64_t number = 0;  // from 1
  int64_t count = 0;
};

std::optional<ShardName> ParseShardName(std::string_view path) {
  constexpr std::string_view kForm = "-00000-of-00000.gguf";
  if (path.size() <= kForm.size()) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kForm.size());
  ShardName name;
  name.prefix = path.substr(0, path.size() - kForm.size());
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf") return std::nullopt;
  for (const auto& [begin, target] : {std::pair{1, &name.number}, std::pair{10, &name.count}}) {
    const char* first = tail.data() + begin;
    const auto [end, error] = std::from_chars(first, first + 5, *target);
    if (error != std::errc() || end != first + 5) return std::nullopt;
  }
  return name;
}

std::string ShardPath(const ShardName& name, int64_t number) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", name.prefix, number, name.count);
}

Result<std::optional<int64_t>> ShardInteger(const GgufShard& shard, std::string_view key) {
  const GgufValue* value = FindGgufValue(shard, key);
  if (value == nullptr) return std::nullopt;
  HONE_TRY(const int64_t number, GgufInteger(shard.file->path(), key, *value));
  return number;
}

// Another GGUF file behind the last tensor: the parts of a set were joined with cat.
bool HasFileBehind(const GgufShard& shard) {
  constexpr std::string_view kMagic = "GGUF";
  constexpr uint64_t kWidestPadding = 64;
  const auto bytes = shard.file->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string_view behind = text.substr(shard.end, kWidestPadding + kMagic.size());
  const size_t found = std::min(behind.find_first_not_of('\0'), behind.size());
  return behind.substr(found).starts_with(kMagic);
}

Result<void> CheckShardKeys(const GgufShard& shard, int64_t number, int64_t count) {
  const std::string& path = shard.file->path();
  HONE_TRY(const auto found_count, ShardInteger(shard, "split.count"));
  HONE_TRY(const auto found_number, ShardInteger(shard, "split.no"));
  if (!found_count) return BadInput(path, "split.count", "absent, expected {} as in the file's name", count);
  if (*found_count != count)
    return BadInput(path, "split.count", "found {}, expected {}", *found_count, count);
  if (!found_number) return BadInput(path, "split.no", "absent, expected {}", number - 1);
  if (*found_number != number - 1) {
    return BadInput(path, "split.no", "found {}, expected {} as in the file's name", *found_number,
                    number - 1);
  }
  return {};
}

// All shards of the set that `opened` belongs to, in order; `opened` alone where the file is not split.
Result<std::vector<GgufShard>> OpenSet(GgufShard opened) {
  const std::string path = opened.file->path();
  HONE_TRY(const auto announced, ShardInteger(opened, "split.count"));
  const std::optional<ShardName> name = ParseShardName(path);
  std::vector<GgufShard> shards;
  if (HasFileBehind(opened)) {
    return BadInput(
        path, "file",
        "a second GGUF file begins behind the last tensor at byte {}: these are parts of a split set, not to "
        "be joined with cat; expected each part in its own file NAME-00001-of-0000N.gguf",
        opened.end);
  }
  const int64_t count = announced.value_or(name ? name->count : 1);
  if (count <= 1) {
    shards.push_back(std::move(opened));
    return shards;
  }
  if (!name || name->count != count || name->number < 1 || name->number > count) {
    return BadInput(path, "split.count",
                    "found {}, expected the file's name to end in -00001-of-{:05}.gguf or the like", count,
                    count);
  }
  HONE_CHECK_OK(CheckShardKeys(opened, name->number, count));
  int64_t tensors = 0;
  for (int64_t number = 1; number <= count; ++number) {
    if (number == name->number) {
      shards.push_back(std::move(opened));
    } else {
      auto shard = ReadGgufShard(ShardPath(*name, number));
      if (!shard) {
        Error error = std::move(shard).error();
        error.message += fmt::format(" (part {} of the {} that {} belongs to)", number, count, path);
        return tl::unexpected(std::move(error));
      }
      HONE_CHECK_OK(CheckShardKeys(*shard, number, count));
      shards.push_back(std::move(*shard));
    }
    tensors += static_cast<int64_t>(shards.back().tensors.size());
  }
  HONE_TRY(const auto total, ShardInteger(shards.front(), "split.tensors.count"));
  if (total && *total != tensors) {
    return BadInput(path, "split.tensors.count", "found {}, but the {} parts hold {} tensors", *total, count,
                    tensors);
  }
  return shards;
}

}  // namespace

Result<GgufFile> GgufFile::Open(const std::string& path) {
  auto parts = std::make_shared<Parts>();
  parts->path = path;
  HONE_TRY(GgufShard opened, ReadGgufShard(path));
  HONE_TRY(parts->shards, OpenSet(std::move(opened)));
  const auto& metadata = parts->shards.front().metadata;
  parts->keys.reserve(metadata.size());
  for (const auto& [key, value] : metadata) parts->keys.emplace(key, &value);
  size_t count = 0;
  for (const GgufShard& shard : parts->shards) count += shard.tensors.size();
  parts->tensors.reserve(count);
  parts->names.reserve(count);
  for (GgufShard& shard : parts->shards) {
    for (FileTensor& tensor : shard.tensors) {
      parts->tensors.push_back(std::move(tensor));
      const FileTensor& kept = parts->tensors.back();
      if (!parts->names.emplace(kept.name, &kept).second) {
        return BadInput(shard.file->path(), Printable(kept.name),
                        "a second tensor of this name, expected one");
      }
    }
    shard.tensors = {};
  }
  GgufFile file;
  file.parts_ = std::move(parts);
  return file;
}

const std::string& GgufFile::path() const { return parts_->path; }

uint32_t GgufFile::version() const { return parts_->shards.front().version; }

std::vector<const MappedFile*> GgufFile::shards() const {
  std::vector<const MappedFile*> files;
  for (const GgufShard& shard : parts_->shards) files.push_back(shard.file.get());
  return files;
}

std::span<const std::pair<std::string, GgufValue>> GgufFile::metadata() const {
  return parts_->shards.front().metadata;
}

const GgufValue* GgufFile::Find(std::string_view key) const {
  const auto found = parts_->keys.find(key);
  return found == parts_->keys.end() ? nullptr : found->second;
}

std::span<const FileTensor> GgufFile::tensors() const { return parts_->tensors; }

const FileTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = parts_->names.find(name);
  return found == parts_->names.end() ? nullptr : found->second;
}

}  // namespace hone
