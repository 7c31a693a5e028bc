// Fetches a file over HTTP so that what lies under its final name is always complete and verified.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace hone {

struct HttpDownload {
  std::string url;
  std::string path;    // where the file goes
  std::string sha256;  // expected; empty: what the server says of it (x-linked-etag), if anything
  std::vector<std::string> headers;  // "Name: value", sent to the first host only
  std::string label;                 // of the progress bar
  int attempts = 4;                  // of a transfer that breaks off; each goes on where the last one ended
  double seconds_between_attempts = 1.0;
};

// Goes on with PATH.part of an earlier attempt where the server still has the same file (ETag, size) and
// knows ranges; starts again otherwise. Errors (kFailed) leave PATH.part behind: the server's status, a short
// or empty body, a body that is not what PATH's ending promises (.gguf: "GGUF"; anything: no HTML page), a
// wrong size or hash, a full disk. Two processes that fetch one file wait for each other.
Result<void> FetchHttp(const HttpDownload& download);

// The server's answer to HEAD, redirections followed: an error unless the file is there.
Result<void> CheckHttp(const std::string& url, const std::vector<std::string>& headers);

}  // namespace hone
