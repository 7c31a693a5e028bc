// Python's operators, subscripts and attributes as the sandbox allows them.
#pragma once

#include <string_view>

#include "core/formats/template/ast.h"
#include "core/formats/template/value.h"

namespace hone::chat {

class Evaluator;

Value Arithmetic(Evaluator& evaluator, Operator operation, const Value& a, const Value& b);
Value Negate(const Value& value, bool minus);
bool CompareWith(Evaluator& evaluator, Operator operation, const Value& a, const Value& b);
bool Contains(Evaluator& evaluator, const Value& container, const Value& item);

// value.name: an attribute or method first, then an item.
Value GetAttribute(Evaluator& evaluator, const Value& value, std::string_view name);
// value[key]: an item first, then an attribute or method.
Value GetItem(Evaluator& evaluator, const Value& value, const Value& key);
// value[start:stop:step]; none or missing where a bound is not given.
Value GetSlice(Evaluator& evaluator, const Value& value, const Value& start, const Value& stop,
               const Value& step);

// list(value): characters, keys, elements. Fails on what cannot be iterated; an iterator is spent.
Values ToList(Evaluator& evaluator, const Value& value);
// An attribute path of map(attribute="a.b.0") and its like.
Value GetPath(Evaluator& evaluator, const Value& value, const Value& path, const Value& otherwise);

}  // namespace hone::chat
