#include "language/serving/http/tool_call_parser.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "language/decoding/constraints/tool_calls.h"

namespace hone {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

size_t SkipBlank(std::string_view text, size_t at) {
  return std::min(text.find_first_not_of(kBlank, at), text.size());
}

// The end of the JSON value that begins at `at`: one past it, or nothing while it is not complete.
std::optional<size_t> ValueEnd(std::string_view text, size_t at) {
  if (at >= text.size()) return std::nullopt;
  int depth = 0;
  bool quoted = false;
  const bool scalar = text[at] != '{' && text[at] != '[' && text[at] != '"';
  for (size_t i = at; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c != '"' || i >= text.size()) continue;
      quoted = false;
      if (depth == 0) return i + 1;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (scalar && depth == 0) return i;
      if (--depth == 0) return i + 1;
    } else if (scalar && depth == 0 && (c == ',' || kBlank.find(c) != std::string_view::npos)) {
      return i;
    }
  }
  return std::nullopt;
}

// What is known of a call's object so far.
struct CallObject {
  std::optional<std::string> name;
  std::optional<size_t> arguments;  // where they begin
  size_t arguments_end = 0;         // as far as they have come
  bool arguments_complete = false;
  std::optional<size_t> end;  // of the object
  bool broken = false;
};

CallObject ReadObject(std::string_view text, size_t at) {
  CallObject object;
  size_t i = at + 1;
  while (true) {
    i = SkipBlank(text, i);
    if (i >= text.size()) return object;
    if (text[i] == '}') {
      object.end = i + 1;
      return object;
    }
    if (text[i] == ',') {
      ++i;
      continue;
    }
    if (text[i] != '"') {
      object.broken = true;
      return object;
    }
    const auto key_end = ValueEnd(text, i);
    if (!key_end) return object;
    const std::string_view key = text.substr(i + 1, *key_end - i - 2);
    i = SkipBlank(text, *key_end);
    if (i >= text.size()) return object;
    if (text[i] != ':') {
      object.broken = true;
      return object;
    }
    i = SkipBlank(text, i + 1);
    if (i >= text.size()) return object;
    const auto value_end = ValueEnd(text, i);
    if (key == "arguments" || key == "parameters") {
      object.arguments = i;
      object.arguments_end = value_end.value_or(text.size());
      object.arguments_complete = value_end.has_value();
    }
    if (!value_end) return object;
    if (key == "name") {
      const auto name = nlohmann::json::parse(text.substr(i, *value_end - i), nullptr, false);
      if (!name.is_string()) {
        object.broken = true;
        return object;
      }
      object.name = name.get<std::string>();
    }
    i = *value_end;
  }
}

size_t UnfinishedMarker(std::string_view text) {
  size_t longest = 0;
  for (const ToolCallMarker& marker : kToolCallMarkers) {
    for (size_t length = std::min(text.size(), marker.open.size() - 1); length > longest; --length) {
      if (text.ends_with(marker.open.substr(0, length))) longest = length;
    }
  }
  return longest;
}

}  // namespace

bool ToolCallParser::IsDeclared(const std::string& name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

void ToolCallParser::Feed(std::string_view piece, std::string& text, std::vector<ToolCallPiece>& calls) {
  held_ += piece;
  while (Step(text, calls)) {
  }
}

bool ToolCallParser::Step(std::string& text, std::vector<ToolCallPiece>& calls) {
  return state_ == State::kText ? EnterCall(text) : ReadCall(calls);
}

// Gives out text up to the next call; true: there is one.
bool ToolCallParser::EnterCall(std::string& text) {
  const auto give = [&](size_t bytes) {
    if (held_.find_first_not_of(kBlank) < bytes) any_text_ = true;
    // Between calls, and before the first, white space is layout.
    if (any_text_) text += held_.substr(0, bytes);
    held_.erase(0, bytes);
  };
  size_t at = std::string::npos;
  std::string_view open;
  for (const ToolCallMarker& marker : kToolCallMarkers) {
    const size_t found = held_.find(marker.open);
    if (found >= at) continue;
    at = found;
    open = marker.open;
  }
  if (at != std::string::npos) {
    const size_t last = held_.find_last_not_of(kBlank, at == 0 ? 0 : at - 1);
    const size_t blank = at == 0 || last == std::string::npos ? at : at - last - 1;
    give(at - std::min(blank, at));
    held_.erase(0, std::min(blank, at) + open.size());
    opened_ = open;
    at_start_ = false;
    state_ = State::kCall;
    return true;
  }
  if (at_start_ && !held_.empty()) {
    // As AnswerConstraints has it: these first bytes, and no others, begin a call.
    const std::string_view text = held_;
    for (const std::string_view bare : {kBareCall, kBareList}) {
      if (text.size() < bare.size() && bare.starts_with(text)) return false;
      if (!text.starts_with(bare)) continue;
      opened_.clear();
      at_start_ = false;
      state_ = State::kCall;
      return true;
    }
    at_start_ = false;
  }
  if (held_.find_first_not_of(kBlank) == std::string::npos && !any_text_) return false;
  const size_t unfinished = UnfinishedMarker(held_);
  // White space before a marker that may follow is layout too.
  const size_t rest = held_.size() - unfinished;
  const size_t last = rest == 0 ? std::string::npos : held_.find_last_not_of(kBlank, rest - 1);
  give(last == std::string::npos ? 0 : last + 1);
  return false;
}

// Goes on with the call under way; true: it is over.
bool ToolCallParser::ReadCall(std::vector<ToolCallPiece>& calls) {
  const size_t begin = SkipBlank(held_, 0);
  if (begin >= held_.size()) return false;
  const auto leave = [&](size_t bytes) {
    held_.erase(0, bytes);
    state_ = State::kText;
    announced_ = closed_ = false;
    sent_ = 0;
    return !held_.empty();
  };
  if (!announced_ && closed_) {  // between the calls of an array, or behind the last
    if (held_[begin] == ',' || held_[begin] == ']') {
      held_.erase(0, begin + 1);
      return true;
    }
    if (std::string_view(held_).substr(begin).starts_with("</tool_call>")) return leave(begin + 12);
    if (std::string_view("</tool_call>").starts_with(std::string_view(held_).substr(begin))) return false;
    if (held_[begin] != '{') return leave(begin);
  }
  if (held_[begin] == '[' && !closed_) {
    held_.erase(0, begin + 1);
    opened_ += '[';
    closed_ = true;
    return true;
  }
  const CallObject object = held_[begin] == '{' ? ReadObject(held_, begin) : CallObject{.broken = true};
  const bool foreign = object.name && !IsDeclared(*object.name);
  const bool nameless = object.end && !object.name;
  if (!announced_ && (object.broken || foreign || nameless)) {  // text after all
    held_ = opened_ + held_;
    any_text_ = true;
    state_ = State::kText;
    // The marker must not be found again.
    sent_ = 0;
    closed_ = announced_ = false;
    names_.clear();
    return false;
  }
  if (!object.name) return false;
  if (!announced_) {
    announced_ = true;
    calls.push_back({count_, "call_" + id_seed_ + std::to_string(count_), *object.name, ""});
  }
  if (object.arguments) {
    const size_t size = object.arguments_end - *object.arguments;
    if (size > sent_) {
      calls.push_back({count_, "", "", held_.substr(*object.arguments + sent_, size - sent_)});
      sent_ = size;
    }
  }
  if (!object.end) return false;
  if (sent_ == 0) calls.push_back({count_, "", "", "{}"});
  ++count_;
  held_.erase(0, *object.end);
  announced_ = false;
  closed_ = true;
  sent_ = 0;
  return true;
}

void ToolCallParser::Finish(std::string& text, std::vector<ToolCallPiece>& calls) {
  (void)calls;
  if (state_ == State::kCall && !announced_ && !closed_) text += opened_ + held_;
  if (state_ == State::kText) text += held_;
  held_.clear();
}

}  // namespace hone
