// How far two words are apart, to suggest the name that was meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace hone {

// Least number of insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal
// string alignment distance), by bytes.
int EditDistance(std::string_view a, std::string_view b);

// The candidate nearest to `name`, the first of equals; empty where none is near enough to be what was meant
// (more than a third of the name would have to change, and `name` does not begin the candidate).
std::string_view Nearest(std::string_view name, std::span<const std::string_view> candidates);

// ", did you mean NEAREST?" or nothing.
std::string Suggestion(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace hone
