#include "language/serving/http/reasoning_splitter.h"

#include <algorithm>

namespace hone {
namespace {

constexpr std::string_view kOpen = "<think>";
constexpr std::string_view kClose = "</think>";
constexpr std::string_view kBlank = " \t\r\n";

// How many bytes at the end of `text` may be the beginning of `tag`.
size_t Unfinished(std::string_view text, std::string_view tag) {
  for (size_t length = std::min(text.size(), tag.size() - 1); length > 0; --length) {
    if (text.ends_with(tag.substr(0, length))) return length;
  }
  return 0;
}

// White space at the end: it goes where what follows goes.
size_t TrailingBlank(std::string_view text) {
  const size_t last = text.find_last_not_of(kBlank);
  return last == std::string_view::npos ? text.size() : text.size() - last - 1;
}

}  // namespace

void ReasoningSplitter::Feed(std::string_view piece, std::string& reasoning, std::string& answer) {
  held_ += piece;
  while (Step(reasoning, answer)) {
  }
}

// Takes what is certain off `held_`; true: the state has changed and there may be more.
bool ReasoningSplitter::Step(std::string& reasoning, std::string& answer) {
  const auto skip_blank = [&] { held_.erase(0, std::min(held_.find_first_not_of(kBlank), held_.size())); };
  switch (state_) {
    case State::kAnswer:
      answer += held_;
      held_.clear();
      return false;
    case State::kStart: {
      const size_t text = held_.find_first_not_of(kBlank);
      if (text == std::string::npos) return false;
      const std::string_view rest = std::string_view(held_).substr(text);
      if (rest.starts_with(kOpen)) {
        held_.erase(0, text + kOpen.size());
        state_ = State::kThinking;
        return true;
      }
      if (kOpen.starts_with(rest)) return false;
      state_ = State::kAnswer;
      return true;
    }
    case State::kThinking: {
      if (!thought_) skip_blank();
      const size_t close = held_.find(kClose);
      std::string_view text(held_);
      if (close != std::string::npos) {
        text = text.substr(0, close);
        text.remove_suffix(TrailingBlank(text));
        reasoning += text;
        held_.erase(0, close + kClose.size());
        state_ = State::kBetween;
        return true;
      }
      text.remove_suffix(Unfinished(text, kClose));
      text.remove_suffix(TrailingBlank(text));
      thought_ = thought_ || !text.empty();
      reasoning += text;
      held_.erase(0, text.size());
      return false;
    }
    case State::kBetween:
      skip_blank();
      if (held_.empty()) return false;
      state_ = State::kAnswer;
      return true;
  }
  return false;
}

void ReasoningSplitter::Finish(std::string& reasoning, std::string& answer) {
  if (state_ == State::kThinking) {
    std::string_view text(held_);
    text.remove_suffix(TrailingBlank(text));
    reasoning += text;
  } else if (state_ != State::kBetween) {
    answer += held_;
  }
  held_.clear();
}

}  // namespace hone
