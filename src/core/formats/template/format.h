// Python's two ways to format: "%s of %d" % values and "{} of {name}".format(...).
#pragma once

#include "core/formats/template/value.h"

namespace hone::chat {

class Evaluator;

// Markup escapes what is put into it, and stays markup.
// format % values, where `values` is a tuple, a dict for %(name)s, or one value.
Value FormatPercent(Evaluator& evaluator, const Value& format, const Value& values);
// format.format(arguments).
Value FormatBraces(Evaluator& evaluator, const Value& format, const Arguments& arguments);
// format(value, spec).
Text FormatValue(Evaluator& evaluator, const Value& value, std::string_view spec);

}  // namespace hone::chat
