// The filters: value | name(arguments).
#pragma once

#include <span>
#include <string_view>

#include "core/formats/template/value.h"

namespace hone::chat {

class Evaluator;

struct FilterEntry {
  std::string_view name;
  Value (*apply)(Evaluator& evaluator, const Value& value, Arguments& arguments);
};

// Null where there is no such filter.
const FilterEntry* FindFilter(std::string_view name);

std::span<const FilterEntry> TextFilters();
std::span<const FilterEntry> SequenceFilters();
std::span<const FilterEntry> SelectionFilters();
std::span<const FilterEntry> NumberFilters();

}  // namespace hone::chat
