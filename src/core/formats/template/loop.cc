#include "core/formats/template/loop.h"

#include <utility>

#include "core/formats/template/evaluator.h"

namespace hone::chat {

const Value& LoopObject::Peek(Evaluator& evaluator) {
  while (after.Is(Kind::kMissing) && next < source.size()) {
    const Value item = source[next++];
    if (filtered || evaluator.PassesFilter(*this, item)) after = item;
  }
  return after;
}

bool LoopObject::Advance(Evaluator& evaluator) {
  Peek(evaluator);
  if (after.Is(Kind::kMissing)) return false;
  previous = std::move(current);
  current = std::move(after);
  after = Value();
  ++index0;
  return true;
}

int64_t LoopObject::Length(Evaluator& evaluator) {
  // Everything that is left is tried now and kept.
  Values passed;
  if (!after.Is(Kind::kMissing)) passed.push_back(std::exchange(after, Value()));
  while (!Peek(evaluator).Is(Kind::kMissing)) passed.push_back(std::exchange(after, Value()));
  const auto left = static_cast<int64_t>(passed.size());
  source = std::move(passed);
  next = 0;
  filtered = true;
  return index0 + 1 + left;
}

Value LoopObject::Attribute(Evaluator& evaluator, std::string_view name) {
  if (name == "index") return Value::Integer(index0 + 1);
  if (name == "index0") return Value::Integer(index0);
  if (name == "first") return Value::Bool(index0 == 0);
  if (name == "last") return Value::Bool(Peek(evaluator).Is(Kind::kMissing));
  if (name == "length") return Value::Integer(Length(evaluator));
  if (name == "revindex") return Value::Integer(Length(evaluator) - index0);
  if (name == "revindex0") return Value::Integer(Length(evaluator) - index0 - 1);
  if (name == "depth") return Value::Integer(depth0 + 1);
  if (name == "depth0") return Value::Integer(depth0);
  if (name == "previtem") {
    return previous.Is(Kind::kMissing) ? Value::Undefined("there is no previous item") : previous;
  }
  if (name == "nextitem") {
    const Value& item = Peek(evaluator);
    return item.Is(Kind::kMissing) ? Value::Undefined("there is no next item") : item;
  }
  return {};
}

Value CallLoopMethod(Evaluator&, const Value& value, std::string_view name, Arguments& arguments,
                     bool& found) {
  auto& loop = value.As<LoopObject>();
  found = name == "cycle" || name == "changed";
  if (!found) return {};
  if (!arguments.named.empty()) Fail("loop.{} takes no named arguments", name);
  if (name == "cycle") {
    if (arguments.positional.empty()) Fail("no items for cycling given");
    return arguments.positional[static_cast<size_t>(loop.index0) % arguments.positional.size()];
  }
  Value now = Value::Tuple(std::move(arguments.positional));
  const bool changed = loop.last_changed.Is(Kind::kMissing) || !Equal(loop.last_changed, now);
  // A loop that has ended keeps nothing: it could be kept in a cycle by what it keeps.
  if (!loop.ended) loop.last_changed = std::move(now);
  return Value::Bool(changed);
}

}  // namespace hone::chat
