// The `loop` of a for block: items are taken one by one, so that an `if` on the loop sees what the body has
// set.
#pragma once

#include "core/formats/template/value.h"

namespace hone::chat {

struct Scope;
struct Statement;

struct LoopObject : Object {
  Values source;
  size_t next = 0;  // in source
  const Statement* statement = nullptr;
  Scope* scope = nullptr;  // around the for block; valid until `ended`
  bool ended = false;
  bool filtered = false;  // what is left in source has passed the `if`
  int64_t index0 = -1;
  int depth0 = 0;
  Value previous, current, after;  // missing where there is none
  Value last_changed;

  // Moves to the next item that passes; false at the end.
  bool Advance(Evaluator& evaluator);
  // The item after the current one, or missing.
  const Value& Peek(Evaluator& evaluator);
  int64_t Length(Evaluator& evaluator);
  // loop.index and its like; an undefined value for an unknown name.
  Value Attribute(Evaluator& evaluator, std::string_view name);
};

// loop.cycle(...) and loop.changed(...).
Value CallLoopMethod(Evaluator& evaluator, const Value& loop, std::string_view name, Arguments& arguments,
                     bool& found);

}  // namespace hone::chat
