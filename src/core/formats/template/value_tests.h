// The tests: value is name(arguments).
#pragma once

#include <string_view>

#include "core/formats/template/value.h"

namespace hone::chat {

class Evaluator;

struct TestEntry {
  std::string_view name;
  bool (*holds)(Evaluator& evaluator, const Value& value, Arguments& arguments);
};

// Null where there is no such test.
const TestEntry* FindTest(std::string_view name);

}  // namespace hone::chat
