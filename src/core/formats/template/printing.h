// Values as text: str(), repr() and json.dumps().
#pragma once

#include "core/formats/template/text.h"
#include "core/formats/template/value.h"

namespace hone::chat {

class Evaluator;

// str(value): what {{ value }} writes.
void AppendString(Evaluator& evaluator, TextBuilder& out, const Value& value);
Text ToText(Evaluator& evaluator, const Value& value);
void AppendRepr(Evaluator& evaluator, TextBuilder& out, const Value& value, int depth = 0);
std::string FloatRepr(double value);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool has_indent = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
// json.dumps(value). Fails on what JSON cannot hold.
void AppendJson(Evaluator& evaluator, TextBuilder& out, const Value& value, const JsonStyle& style,
                int depth = 0);

}  // namespace hone::chat
