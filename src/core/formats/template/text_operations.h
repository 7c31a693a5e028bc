// Operations on Text that methods and filters share; every byte keeps its provenance.
#pragma once

#include <string_view>

#include "core/formats/template/unicode.h"
#include "core/formats/template/value.h"

namespace hone::chat {

class Evaluator;

// Without white space, or without any of the characters in `characters`, at the chosen ends.
Text Strip(const Text& text, bool left, bool right, const Value& characters);
// str.replace; `limit` < 0 replaces all.
Text Replace(Evaluator& evaluator, const Text& text, const Text& from, const Text& to, int64_t limit);
// str.splitlines.
std::vector<Text> SplitLines(Evaluator& evaluator, const Text& text, bool keep_ends);
// A changed string is from the variables as a whole where any of it was.
Text WithCase(Evaluator& evaluator, const Text& text, CaseChange change);
Text Join(Evaluator& evaluator, const Text& separator, const std::vector<Text>& parts);
// Padded to `width` code points with `fill`.
enum class Side { kLeft, kRight, kBoth };
Text Pad(Evaluator& evaluator, const Text& text, int64_t width, const Text& fill, Side side);

// With & < > ' " as HTML entities.
Text EscapeHtml(Evaluator& evaluator, const Text& text);
// What markupsafe.escape makes of a value: markup as it is, anything else printed and escaped.
Text EscapedText(Evaluator& evaluator, const Value& value);

}  // namespace hone::chat
