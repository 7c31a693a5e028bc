#include "language/decoding/stop_strings.h"

#include <algorithm>

namespace hone {

Result<StopStrings> StopStrings::Create(std::vector<std::string> stops) {
  for (const std::string& stop : stops) {
    if (stop.empty()) return WrongUsage("stop: found an empty string, expected at least one character");
  }
  StopStrings result;
  result.stops_ = std::move(stops);
  return result;
}

StopStrings::Match StopStrings::Leftmost() const {
  Match leftmost;
  for (size_t i = 0; i < stops_.size(); ++i) {
    const size_t begin = held_.find(stops_[i]);
    // At the same place the longer one is named: both cut there.
    const bool longer = begin == leftmost.begin && begin != std::string::npos &&
                        stops_[i].size() > stops_[leftmost.stop].size();
    if (begin < leftmost.begin || longer) leftmost = {begin, i};
  }
  return leftmost;
}

size_t StopStrings::Unfinished() const {
  size_t earliest = held_.size();
  for (const std::string& stop : stops_) {
    const size_t longest = std::min(stop.size() - 1, held_.size());
    for (size_t length = longest; length > held_.size() - earliest; --length) {
      if (std::string_view(held_).substr(held_.size() - length) == std::string_view(stop).substr(0, length)) {
        earliest = held_.size() - length;
        break;
      }
    }
  }
  return earliest;
}

bool StopStrings::End(const Match& match, std::string& sent) {
  sent.append(held_, 0, match.begin);
  held_.clear();
  matched_ = stops_[match.stop];
  return true;
}

bool StopStrings::Feed(std::string_view piece, std::string& sent) {
  if (stops_.empty()) {
    sent += piece;
    return false;
  }
  held_ += piece;
  const Match match = Leftmost();
  const size_t unfinished = Unfinished();
  if (match.begin != std::string::npos && match.begin <= unfinished) return End(match, sent);
  const size_t safe = std::min(match.begin, unfinished);
  sent.append(held_, 0, safe);
  held_.erase(0, safe);
  return false;
}

bool StopStrings::Finish(std::string& sent) {
  if (const Match match = Leftmost(); match.begin != std::string::npos) return End(match, sent);
  sent += held_;
  held_.clear();
  return false;
}

}  // namespace hone
