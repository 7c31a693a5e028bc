// Inside this room an error travels as one exception type; ChatTemplate::Parse and ChatTemplate::Render turn
// it into a Result, so none crosses the room's border.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace hone::chat {

// An error of the template or of the values it works on. `line` is 0 where the thrower does not know it: the
// evaluator adds the line of the node that it was evaluating.
struct TemplateFailure {
  std::string message;
  int line = 0;
  bool refusal = false;  // raise_exception: the message is the template's own words
};

template <class... Args>
[[noreturn]] void Fail(fmt::format_string<Args...> text, Args&&... args) {
  throw TemplateFailure{fmt::format(text, std::forward<Args>(args)...)};
}

template <class... Args>
[[noreturn]] void FailAt(int line, fmt::format_string<Args...> text, Args&&... args) {
  throw TemplateFailure{fmt::format(text, std::forward<Args>(args)...), line};
}

}  // namespace hone::chat
