// Finds tool calls in an answer's text while it is written, in the forms that models use:
//   <tool_call>{"name": .., "arguments": {..}}</tool_call>, one or several, or an array of calls inside;
//   [TOOL_CALLS] or <|python_tag|> before such JSON; or an answer that begins with kBareCall or kBareList
//   ("parameters" counts as "arguments").
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

// What stands around calls.
struct ToolCallMarker {
  std::string_view open;
  std::string_view close;
};
inline constexpr std::array<ToolCallMarker, 3> kToolCallMarkers{ToolCallMarker{"<tool_call>", "</tool_call>"},
                                                                ToolCallMarker{"[TOOL_CALLS]", ""},
                                                                ToolCallMarker{"<|python_tag|>", ""}};

struct ToolCallPiece {
  int64_t index = 0;
  std::string id;         // with the first piece of a call only
  std::string name;       // likewise
  std::string arguments;  // what is new; the pieces of one call join to valid JSON
};

class ToolCallParser {
 public:
  // `id_seed` makes the calls' ids. `names`: what may be called; an object that names something else, or
  // nothing, is text.
  ToolCallParser(std::string id_seed, std::vector<std::string> names)
      : id_seed_(std::move(id_seed)), names_(std::move(names)) {}

  // Appends what the piece adds; text that may belong to a call is held back.
  void Feed(std::string_view piece, std::string& text, std::vector<ToolCallPiece>& calls);
  void Finish(std::string& text, std::vector<ToolCallPiece>& calls);
  int64_t calls() const { return count_; }

 private:
  enum class State { kText, kCall };
  bool Step(std::string& text, std::vector<ToolCallPiece>& calls);
  bool EnterCall(std::string& text);
  bool ReadCall(std::vector<ToolCallPiece>& calls);
  bool IsDeclared(const std::string& name) const;

  std::string id_seed_;
  std::vector<std::string> names_;
  State state_ = State::kText;
  std::string held_;    // not yet given out
  std::string opened_;  // the marker that began the call under way, to be given back if it is none
  bool any_text_ = false;
  bool at_start_ = true;  // nothing has come yet that says whether the answer is a call
  bool closed_ = false;   // its object is complete
  size_t sent_ = 0;       // bytes of its arguments
  bool announced_ = false;
  int64_t count_ = 0;
};

}  // namespace hone
