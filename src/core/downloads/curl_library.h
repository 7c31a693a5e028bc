// libcurl, loaded when the first download begins: it brings thirty libraries of its own, and linking it would
// double the time that every `hone` command takes to start.
#pragma once

#include <curl/curl.h>

#include "core/base/result.h"

namespace hone {

struct CurlLibrary {
  decltype(&curl_easy_init) easy_init;
  decltype(&curl_easy_cleanup) easy_cleanup;
  decltype(&curl_easy_reset) easy_reset;
  decltype(&curl_easy_setopt) easy_setopt;
  decltype(&curl_easy_perform) easy_perform;
  decltype(&curl_easy_getinfo) easy_getinfo;
  decltype(&curl_easy_strerror) easy_strerror;
  decltype(&curl_slist_append) slist_append;
  decltype(&curl_slist_free_all) slist_free_all;
};

// Thread-safe; the error names the Debian package.
Result<const CurlLibrary*> LoadCurl();

}  // namespace hone
