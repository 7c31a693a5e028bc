#include "language/serving/prefix_cache_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <vector>

#include "core/base/output_file.h"

// The file, little-endian: the first line; length and text of what it was made for; then for every prefix its
// head, its tokens and its snapshot, which has a checksum of its own; then a head of zero tokens.
namespace hone {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kFirstLine = "hone prefix cache 1\n";
constexpr uint32_t kMostMadeFor = 4096;
constexpr uint64_t kMostTokens = uint64_t{1} << 31;

struct PrefixHead {
  uint64_t tokens = 0;
  uint64_t made_by = 0;
  uint64_t snapshot_bytes = 0;
  uint64_t checksum = 0;  // of the three above and the tokens
};

uint64_t Checksum(const PrefixHead& head, std::span<const TokenId> tokens) {
  uint64_t sum = 0x9e3779b97f4a7c15;
  const auto mix = [&](uint64_t word) {
    sum = (sum ^ word) * 0xbf58476d1ce4e5b9;
    sum ^= sum >> 29;
  };
  mix(head.tokens);
  mix(head.made_by);
  mix(head.snapshot_bytes);
  for (const TokenId token : tokens) mix(static_cast<uint64_t>(token));
  return sum;
}

template <class T>
Result<void> Write(OutputFile& file, const T* values, size_t count) {
  return file.Write(std::as_bytes(std::span(values, count)));
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_(path, std::ios::binary) {
    std::error_code error;
    left_ = std::filesystem::file_size(path, error);
    if (error) left_ = 0;
  }
  bool is_open() const { return file_.is_open(); }
  uint64_t left() const { return left_; }

  // `count` values into `values`; lengths are checked against the file before memory is taken.
  template <class Container>
  Result<void> Read(const char* field, uint64_t count, Container& values) {
    constexpr uint64_t kSize = sizeof(typename Container::value_type);
    if (count > left_ / kSize) {
      return BadInput(path_, field, "{} bytes left, expected {} of {}", left_, count, kSize);
    }
    values.resize(count);
    return Take(field, reinterpret_cast<char*>(values.data()), count * kSize);
  }
  template <class T>
  Result<T> Number(const char* field) {
    T value{};
    HONE_CHECK_OK(Take(field, reinterpret_cast<char*>(&value), sizeof(T)));
    return value;
  }

 private:
  Result<void> Take(const char* field, char* bytes, uint64_t count) {
    if (count > left_ || !file_.read(bytes, static_cast<std::streamsize>(count))) {
      return BadInput(path_, field, "{} bytes left, expected {}", left_, count);
    }
    left_ -= count;
    return {};
  }

  const std::string& path_;
  std::ifstream file_;
  uint64_t left_ = 0;
};

Result<void> ReadBegin(Reader& reader, const std::string& path, const std::string& made_for) {
  std::string line;
  HONE_CHECK_OK(reader.Read("first line", kFirstLine.size(), line));
  if (line != kFirstLine) return BadInput(path, "first line", "not a prefix cache of this version");
  HONE_TRY(const auto length, reader.Number<uint32_t>("made for"));
  std::string found;
  HONE_CHECK_OK(reader.Read("made for", std::min(length, kMostMadeFor), found));
  if (found != made_for) return BadInput(path, "made for", "another model, plan, numeric mode or processor");
  return {};
}

}  // namespace

Result<PrefixFileCounts> SavePrefixes(const PrefixCache& prefixes, const std::string& path,
                                      const std::string& made_for, uint64_t most_bytes) {
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  HONE_CHECK_OK(Write(file, kFirstLine.data(), kFirstLine.size()));
  const auto length = static_cast<uint32_t>(made_for.size());
  HONE_CHECK_OK(Write(file, &length, 1));
  HONE_CHECK_OK(Write(file, made_for.data(), made_for.size()));
  PrefixFileCounts counts;
  for (const PrefixCache::Entry& entry : prefixes.Leaves()) {
    const auto snapshot = entry.cache.Snapshot();
    if (!snapshot) continue;
    if (file.size() + snapshot->size() > most_bytes) break;
    PrefixHead head{entry.tokens.size(), entry.made_by, snapshot->size(), 0};
    head.checksum = Checksum(head, entry.tokens);
    HONE_CHECK_OK(Write(file, &head, 1));
    HONE_CHECK_OK(Write(file, entry.tokens.data(), entry.tokens.size()));
    HONE_CHECK_OK(Write(file, snapshot->data(), snapshot->size()));
    ++counts.prefixes;
    counts.tokens += static_cast<int64_t>(entry.tokens.size());
  }
  PrefixHead last;
  last.checksum = Checksum(last, {});
  HONE_CHECK_OK(Write(file, &last, 1));
  HONE_CHECK_OK(file.Commit());
  return counts;
}

Result<PrefixFileCounts> LoadPrefixes(PrefixCache& prefixes, const std::string& path,
                                      const std::string& made_for,
                                      const std::function<KvCache()>& make_cache) {
  Reader reader(path);
  if (!reader.is_open()) {
    if (!std::filesystem::exists(path)) return PrefixFileCounts{};
    return BadInput(path, "file", "cannot be read");
  }
  HONE_CHECK_OK(ReadBegin(reader, path, made_for));
  std::vector<PrefixCache::Entry> found;
  while (true) {
    HONE_TRY(const auto head, reader.Number<PrefixHead>("prefix"));
    std::vector<TokenId> tokens;
    if (head.tokens > kMostTokens) return BadInput(path, "prefix", "{} tokens, expected fewer", head.tokens);
    HONE_CHECK_OK(reader.Read("tokens", head.tokens, tokens));
    if (head.checksum != Checksum(head, tokens)) return BadInput(path, "tokens", "damaged: wrong checksum");
    if (head.tokens == 0) break;
    std::string snapshot;
    HONE_CHECK_OK(reader.Read("entries", head.snapshot_bytes, snapshot));
    KvCache cache = make_cache();
    if (const auto restored = cache.Restore(snapshot); !restored) {
      if (restored.error().kind != ErrorKind::kFailed) {
        return BadInput(path, "entries", "{}", restored.error().message);
      }
      continue;  // no pages: a shorter one may find some
    }
    if (cache.entries() < static_cast<int64_t>(tokens.size())) {
      return BadInput(path, "entries", "{} for {} tokens", cache.entries(), tokens.size());
    }
    found.push_back({std::move(tokens), head.made_by, std::move(cache)});
  }
  if (reader.left() != 0) return BadInput(path, "end", "{} bytes more than expected", reader.left());
  PrefixFileCounts counts;
  std::reverse(found.begin(), found.end());
  for (const PrefixCache::Entry& entry : found) {
    prefixes.Insert(entry.tokens, entry.cache, entry.made_by);
    ++counts.prefixes;
    counts.tokens += static_cast<int64_t>(entry.tokens.size());
  }
  return counts;
}

}  // namespace hone
