// The pieces of JSON (RFC 8259) as grammar symbols, as a model should write it: white space between tokens is
// at most one space or one line break with its indentation, and none follows the value.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "language/decoding/constraints/code_point_set.h"
#include "language/decoding/constraints/grammar_builder.h"

namespace hone {

class JsonGrammar {
 public:
  explicit JsonGrammar(GrammarBuilder& builder) : builder_(builder) {}
  GrammarBuilder& builder() { return builder_; }

  Symbol Space();          // behind { [ , and before } ]
  Symbol SpaceAfterKey();  // behind the colon
  // One character of the set as it may stand inside a string. A set of all characters may use any escape, a
  // smaller one the short escapes, and \u00XX where nothing else spells a control character.
  Symbol Character(const CodePointSet& set);
  Symbol String(Symbol content);
  Symbol AnyString() { return StringOfLength(0, kUnbounded); }
  Symbol StringOfLength(uint32_t min, uint32_t max);  // in characters
  // Any string but these. Words of the list are told apart character by character; as long as a string may
  // still become one of them, its characters are spelled in their shortest way.
  Symbol StringBut(std::vector<std::u32string> words);
  Symbol AnyInteger();
  Symbol AnyNumber();
  Symbol AnyValue();
  Symbol AnyObject();
  Symbol AnyArray();
  // The one value; containers with white space as anywhere.
  Symbol Literal(const nlohmann::ordered_json& value);
  // "key": VALUE
  Symbol Pair(Symbol key, Symbol value);

  // Characters that stand in a string unescaped.
  static CodePointSet Unescaped();

 private:
  Symbol Digit() { return builder_.Bytes(ByteSet::Range('0', '9')); }
  Symbol AnyEscape();

  GrammarBuilder& builder_;
  std::map<CodePointSet, Symbol> characters_;
  std::optional<Symbol> space_, space_after_key_, integer_, number_, value_, object_, array_, string_;
};

// The text of a value as Python's json.dumps(value, ensure_ascii=False) and this grammar spell it.
std::string JsonText(const nlohmann::ordered_json& value);

}  // namespace hone
