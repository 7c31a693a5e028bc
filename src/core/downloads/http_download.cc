#include "core/downloads/http_download.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string_view>
#include <thread>

#include "core/base/log.h"
#include "core/base/printable.h"
#include "core/base/progress.h"
#include "core/downloads/curl_library.h"
#include "core/downloads/partial_file.h"
#include "core/downloads/sha256.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr long kConnectSeconds = 30;
constexpr long kStalledSeconds = 30;
constexpr long kMostRedirections = 10;
constexpr int kMostTransfers = 100;  // of one file, those that made progress included

// What one response's header lines said.
struct ResponseHead {
  std::string etag;
  std::string type;
  std::optional<uint64_t> length;
  std::optional<uint64_t> range_begin;
  std::optional<uint64_t> range_total;
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

std::optional<uint64_t> Digits(std::string_view text) {
  uint64_t value = 0;
  if (text.empty() || text.size() > 18) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

std::string_view Unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') return etag.substr(1, etag.size() - 2);
  return etag;
}

// "bytes BEGIN-END/TOTAL"
void ParseContentRange(std::string_view text, ResponseHead& head) {
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (!text.starts_with("bytes ") || dash == std::string_view::npos || slash == std::string_view::npos)
    return;
  head.range_begin = Digits(text.substr(6, dash - 6));
  head.range_total = Digits(text.substr(slash + 1));
}

// One transfer into a partial file, and what curl's callbacks need.
class Transfer {
 public:
  Transfer(const CurlLibrary& curl, const HttpDownload& download, PartialFile& file, Progress& progress)
      : curl_(curl), download_(download), file_(file), progress_(progress) {}

  enum class Outcome { kComplete, kAgain, kFailed };
  Outcome Run();

  const Error& error() const { return error_; }
  // What the server said the file's SHA-256 is; empty: nothing.
  const std::string& announced_sha256() const { return info_.sha256; }

 private:
  // What is written beside the partial file.
  struct Info {
    std::string url;
    std::string etag;
    uint64_t total = 0;
    std::string sha256;  // that the server announced
  };

  static size_t OnHeader(char* data, size_t size, size_t count, void* self) {
    static_cast<Transfer*>(self)->Header({data, size * count});
    return size * count;
  }
  static size_t OnBody(char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->Body({data, size * count}) ? size * count : 0;
  }

  Info ReadInfo() const;
  bool PrepareResumption();
  void Header(std::string_view line);
  bool Body(std::string_view bytes);
  bool Begin();
  bool CheckBeginning(bool at_end);
  bool Refuse(std::string message);
  Outcome Judge(CURLcode code, long status);

  const CurlLibrary& curl_;
  const HttpDownload& download_;
  PartialFile& file_;
  Progress& progress_;
  CURL* handle_ = nullptr;
  Info info_;
  ResponseHead head_;
  std::string linked_etag_;
  std::string beginning_;  // the file's first bytes, until they have been judged
  bool begun_ = false;
  bool beginning_checked_ = false;
  bool stop_ = false;     // the callbacks ended the transfer, with error_
  bool restart_ = false;  // the server's file is another one
  Error error_;
};

Transfer::Info Transfer::ReadInfo() const {
  std::istringstream lines(file_.ReadInfo());
  Info info;
  std::string total;
  if (!std::getline(lines, info.url) || !std::getline(lines, info.etag) || !std::getline(lines, total))
    return {};
  info.total = Digits(total).value_or(0);
  return info;
}

// Empties the partial file unless it is known to be the beginning of the same file. True: it is all there.
bool Transfer::PrepareResumption() {
  info_ = ReadInfo();
  const bool known = info_.url == download_.url && (info_.total > 0 || !info_.etag.empty());
  const bool fits = info_.total == 0 || file_.size() <= info_.total;
  if (file_.size() > 0 && (!known || !fits)) {
    if (const auto emptied = file_.Truncate(); !emptied) Refuse(emptied.error().message);
  }
  if (file_.size() == 0) info_ = {};
  return file_.size() > 0 && file_.size() == info_.total;
}

void Transfer::Header(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // the next response of a chain of redirections
    head_ = {};
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string name = Lower(line.substr(0, colon));
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (name == "etag") head_.etag = value;
  if (name == "content-type") head_.type = Lower(value);
  if (name == "content-length") head_.length = Digits(value);
  if (name == "content-range") ParseContentRange(value, head_);
  if (name == "x-linked-etag") linked_etag_ = Unquoted(value);
}

bool Transfer::Refuse(std::string message) {
  stop_ = true;
  error_ = {ErrorKind::kFailed, std::move(message)};
  return false;
}

// The first bytes of a body arrived: decides where they go.
bool Transfer::Begin() {
  begun_ = true;
  long status = 0;
  curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
  const uint64_t had = file_.size();
  uint64_t total = 0;
  if (status == 206) {
    total = head_.range_total.value_or(0);
    const bool same = head_.range_begin == had && (info_.total == 0 || total == info_.total) &&
                      (info_.etag.empty() || head_.etag.empty() || head_.etag == info_.etag);
    if (!same) {
      restart_ = true;
      return false;
    }
    beginning_checked_ = had > 0;
  } else {
    if (had > 0) {
      if (const auto emptied = file_.Truncate(); !emptied) return Refuse(emptied.error().message);
    }
    total = head_.length.value_or(0);
  }
  info_ = {download_.url, head_.etag, total, IsSha256(linked_etag_) ? Lower(linked_etag_) : ""};
  file_.WriteInfo(fmt::format("{}\n{}\n{}\n{}\n", info_.url, info_.etag, info_.total, info_.sha256));
  progress_.SetTotal(total);
  std::error_code problem;
  const auto space = fs::space(fs::path(download_.path).parent_path(), problem);
  if (!problem && total > file_.size() && total - file_.size() > space.available) {
    return Refuse(fmt::format("{}: disk: {} free, {} needed", download_.path, ReadableSize(space.available),
                              ReadableSize(total - file_.size())));
  }
  return true;
}

// Whether the file begins like what its name says.
bool Transfer::CheckBeginning(bool at_end) {
  if (beginning_checked_) return true;
  const bool gguf = download_.path.ends_with(".gguf");
  if (!at_end && beginning_.size() < 16) return true;
  beginning_checked_ = true;
  std::string_view text = beginning_;
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\r'))
    text.remove_prefix(1);
  const bool page = text.starts_with("<") || head_.type.starts_with("text/html");
  if (gguf ? beginning_.starts_with("GGUF") : !page) return true;
  (void)file_.Truncate();
  return Refuse(fmt::format("{}: content: begins with \"{}\", expected {}", download_.url,
                            Printable(std::string_view(beginning_).substr(0, 16)),
                            gguf ? "a GGUF file" : "the file, not a web page"));
}

bool Transfer::Body(std::string_view bytes) {
  long status = 0;
  curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200 && status != 206) return true;  // the page of an error
  if (!begun_ && !Begin()) return false;
  if (!beginning_checked_ && beginning_.size() < 16) {
    beginning_ += bytes.substr(0, 16 - beginning_.size());
    if (!CheckBeginning(false)) return false;
  }
  const auto appended = file_.Append(std::as_bytes(std::span(bytes)));
  if (!appended) return Refuse(appended.error().message);
  progress_.Update(file_.size());
  return true;
}

Transfer::Outcome Transfer::Judge(CURLcode code, long status) {
  if (stop_) return Outcome::kFailed;
  const auto again = [&](std::string message) {
    error_ = {ErrorKind::kFailed, std::move(message)};
    return Outcome::kAgain;
  };
  if (restart_ || status == 416) {
    if (const auto emptied = file_.Truncate(); !emptied) {
      error_ = emptied.error();
      return Outcome::kFailed;
    }
    return again(fmt::format("{}: the file changed while it was fetched", download_.url));
  }
  if (code != CURLE_OK) {
    const bool hopeless = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
                          code == CURLE_TOO_MANY_REDIRECTS || code == CURLE_PEER_FAILED_VERIFICATION;
    again(fmt::format("{}: {}", download_.url, curl_.easy_strerror(code)));
    return hopeless ? Outcome::kFailed : Outcome::kAgain;
  }
  if (status != 200 && status != 206) {
    again(fmt::format("{}: found HTTP status {}, expected 200", download_.url, status));
    return status >= 500 || status == 429 || status == 408 ? Outcome::kAgain : Outcome::kFailed;
  }
  if (file_.size() == 0 || !begun_) {
    Refuse(fmt::format("{}: content: empty, expected a file", download_.url));
    return Outcome::kFailed;
  }
  if (!CheckBeginning(true)) return Outcome::kFailed;
  if (info_.total > 0 && file_.size() != info_.total) {
    return again(fmt::format("{}: {} of {} bytes came", download_.url, file_.size(), info_.total));
  }
  return Outcome::kComplete;
}

Transfer::Outcome Transfer::Run() {
  if (PrepareResumption()) return Outcome::kComplete;
  if (stop_) return Outcome::kFailed;
  handle_ = curl_.easy_init();
  curl_slist* headers = nullptr;
  for (const std::string& header : download_.headers) headers = curl_.slist_append(headers, header.c_str());
  const std::string range = fmt::format("{}-", file_.size());
  if (file_.size() > 0) {
    curl_.easy_setopt(handle_, CURLOPT_RANGE, range.c_str());
    if (info_.etag.starts_with('"')) {  // a weak one does not promise the same bytes
      headers = curl_.slist_append(headers, fmt::format("If-Range: {}", info_.etag).c_str());
    }
  }
  curl_.easy_setopt(handle_, CURLOPT_URL, download_.url.c_str());
  curl_.easy_setopt(handle_, CURLOPT_HTTPHEADER, headers);
  curl_.easy_setopt(handle_, CURLOPT_USERAGENT, "hone");
  curl_.easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
  curl_.easy_setopt(handle_, CURLOPT_FOLLOWLOCATION, 1L);
  curl_.easy_setopt(handle_, CURLOPT_MAXREDIRS, kMostRedirections);
  curl_.easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_.easy_setopt(handle_, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_.easy_setopt(handle_, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_.easy_setopt(handle_, CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
  curl_.easy_setopt(handle_, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_.easy_setopt(handle_, CURLOPT_HEADERDATA, this);
  curl_.easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_.easy_setopt(handle_, CURLOPT_WRITEDATA, this);
  const CURLcode code = curl_.easy_perform(handle_);
  long status = 0;
  curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
  curl_.slist_free_all(headers);
  curl_.easy_cleanup(handle_);
  return Judge(code, status);
}

Result<void> Verify(const HttpDownload& download, const std::string& announced, const PartialFile& file) {
  const std::string expected = download.sha256.empty() ? announced : Lower(download.sha256);
  if (expected.empty()) return {};
  HONE_TRY(const std::string found, Sha256OfFile(file.path(), "verifying"));
  if (found == expected) return {};
  file.WriteInfo("");  // the next attempt starts again
  return Failed("{}: SHA-256: found {}, expected {}; what came is kept as {}", download.url, found, expected,
                file.path());
}

}  // namespace

Result<void> FetchHttp(const HttpDownload& download) {
  HONE_TRY(const CurlLibrary* curl, LoadCurl());
  HONE_TRY(auto file, PartialFile::Open(download.path));
  if (!file) return {};
  {
    Progress progress(download.label, 0, Progress::Unit::kBytes);
    int fruitless = 0;
    std::string announced_sha256;
    for (int count = 1;; ++count) {
      const uint64_t before = file->size();
      Transfer transfer(*curl, download, *file, progress);
      const auto outcome = transfer.Run();
      announced_sha256 = transfer.announced_sha256();
      if (outcome == Transfer::Outcome::kComplete) break;
      fruitless = file->size() > before ? 0 : fruitless + 1;
      if (outcome == Transfer::Outcome::kFailed || fruitless >= download.attempts ||
          count >= kMostTransfers) {
        return tl::unexpected(transfer.error());
      }
      LogInfo("{}; trying again", transfer.error().message);
      std::this_thread::sleep_for(
          std::chrono::duration<double>(download.seconds_between_attempts * (1 + fruitless)));
    }
    progress.Finish();
    HONE_CHECK_OK(Verify(download, announced_sha256, *file));
  }
  return file->Finish();
}

Result<void> CheckHttp(const std::string& url, const std::vector<std::string>& headers) {
  HONE_TRY(const CurlLibrary* curl, LoadCurl());
  CURL* handle = curl->easy_init();
  curl_slist* list = nullptr;
  for (const std::string& header : headers) list = curl->slist_append(list, header.c_str());
  curl->easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl->easy_setopt(handle, CURLOPT_HTTPHEADER, list);
  curl->easy_setopt(handle, CURLOPT_USERAGENT, "hone");
  curl->easy_setopt(handle, CURLOPT_NOBODY, 1L);
  curl->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl->easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl->easy_setopt(handle, CURLOPT_MAXREDIRS, kMostRedirections);
  curl->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl->easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  const CURLcode code = curl->easy_perform(handle);
  long status = 0;
  curl->easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  curl->slist_free_all(list);
  curl->easy_cleanup(handle);
  if (code != CURLE_OK) return Failed("{}: {}", url, curl->easy_strerror(code));
  if (status != 200) return Failed("{}: found HTTP status {}, expected 200", url, status);
  return {};
}

}  // namespace hone
