// Methods of strings, lists, tuples and dicts.
#pragma once

#include <string_view>

#include "core/formats/template/value.h"

namespace hone::chat {

class Evaluator;

struct MethodEntry {
  std::string_view name;
  Value (*call)(Evaluator& evaluator, const Value& self, Arguments& arguments);
};

// Null where the value has no such method.
const MethodEntry* FindMethod(const Value& self, std::string_view name);
// Whether the sandbox refuses the attribute: what changes a list or dict, and what begins with two
// underscores.
bool IsUnsafe(const Value& self, std::string_view name);
Value BindMethod(const Value& self, const MethodEntry* method);

const MethodEntry* FindStringMethod(std::string_view name);
const MethodEntry* FindStringTestMethod(std::string_view name);  // isdigit and its like

}  // namespace hone::chat
