// Ends an answer at a string, over token borders.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

// Feeds on pieces of text and gives back what may be sent: neither a stop string nor anything after it, and
// nothing that may still turn out to be the beginning of one. Where several match, the one that begins
// leftmost wins: a match waits as long as one that would begin earlier is still possible, so where the pieces
// are cut makes no difference.
class StopStrings {
 public:
  // An empty string is an error.
  static Result<StopStrings> Create(std::vector<std::string> stops);

  // Appends to `sent` what is safe; true: a stop string has matched, nothing more comes.
  bool Feed(std::string_view piece, std::string& sent);
  // No more text follows: a waiting match counts, else the held-back tail is sent.
  bool Finish(std::string& sent);

  // The string that matched; empty if none did.
  const std::string& matched() const { return matched_; }

 private:
  struct Match {
    size_t begin = std::string::npos;
    size_t stop = 0;  // which
  };
  Match Leftmost() const;
  // Where the earliest unfinished stop string begins in the held-back text; its size if there is none.
  size_t Unfinished() const;
  bool End(const Match& match, std::string& sent);

  std::vector<std::string> stops_;
  std::string held_;
  std::string matched_;
};

}  // namespace hone
