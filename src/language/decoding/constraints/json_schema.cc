#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>

#include "core/formats/tokenizer/utf8.h"
#include "language/decoding/constraints/compile.h"
#include "language/decoding/constraints/json_schema.h"
#include "language/decoding/constraints/recognizer.h"

namespace hone {
namespace {

constexpr int kDeepestJson = 256;
constexpr size_t kMostCountedMembers =
    40'000;  // members times counts of an object with bounds on their number

std::u32string Characters(const std::string& text) {
  std::u32string characters;
  for (size_t at = 0; at < text.size();) {
    const Utf8Unit unit = NextUtf8(std::string_view(text).substr(at));
    characters.push_back(unit.code);
    at += unit.length;
  }
  return characters;
}

}  // namespace

Symbol SchemaCompiler::Value(const Schemas& schemas) {
  std::vector<const Json*> key;
  for (const Schema& schema : schemas) {
    if (!schema.json->is_boolean() || !schema.json->get<bool>()) key.push_back(schema.json);
  }
  std::sort(key.begin(), key.end());
  key.erase(std::unique(key.begin(), key.end()), key.end());
  if (key.empty()) return json_.AnyValue();
  const auto known = rules_.find(key);
  if (known != rules_.end()) return known->second;
  const Symbol rule = builder_.Declare();
  rules_.emplace(std::move(key), rule);
  waiting_.push_back({rule, schemas});
  return rule;
}

Result<Symbol> SchemaCompiler::Compile(const Schemas& schemas) {
  const Symbol root = Value(schemas);
  while (!waiting_.empty()) {
    const auto [rule, of] = std::move(waiting_.front());
    waiting_.pop_front();
    HONE_TRY(const std::vector<Facts> alternatives, document_.Expand(of));
    std::vector<Symbol> ways;
    for (const Facts& facts : alternatives) {
      HONE_TRY(ways.emplace_back(root), Alternative(of.front(), facts));
    }
    builder_.Define(rule, builder_.Choice(std::move(ways)));
    if (builder_.size() > GrammarBuilder::kMaximumSize)
      return BadSchema(of.front(), "", "the schema is too large");
  }
  return root;
}

Result<Symbol> SchemaCompiler::Alternative(const Schema& schema, const Facts& facts) {
  if (facts.values) return Listed(schema, facts);
  if (facts.types == kAnyType && facts.only_types()) return json_.AnyValue();
  std::vector<Symbol> ways;
  if (facts.types & kNullType) ways.push_back(builder_.Literal("null"));
  if (facts.types & kBooleanType) ways.push_back(builder_.OneOf({"true", "false"}));
  if (facts.types & (kIntegerType | kFractionType)) {
    HONE_TRY(ways.emplace_back(builder_.Empty()), Number(facts));
  }
  if (facts.types & kStringType) {
    HONE_TRY(ways.emplace_back(builder_.Empty()), String(facts));
  }
  if (facts.types & kArrayType) {
    HONE_TRY(ways.emplace_back(builder_.Empty()), Array(facts));
  }
  if (facts.types & kObjectType) {
    HONE_TRY(ways.emplace_back(builder_.Empty()), Object(schema, facts));
  }
  return builder_.Choice(std::move(ways));
}

// Of the values, those that satisfy everything else too.
Result<Symbol> SchemaCompiler::Listed(const Schema& schema, const Facts& facts) {
  std::vector<const Json*> values;
  for (const Json* value : *facts.values) {
    if (TypeOf(*value) & facts.types) values.push_back(value);
  }
  Facts others = facts;
  others.values.reset();
  others.types = kAnyType;
  if (!others.only_types() && !values.empty()) {
    GrammarBuilder builder;
    SchemaCompiler compiler(document_, builder);
    HONE_TRY(const Symbol condition, compiler.Alternative(schema, others));
    HONE_TRY(const Symbol drained, compiler.Compile({}));
    (void)drained;
    const auto grammar = builder.Finish(condition, "JSON schema");
    if (!grammar) return builder_.Nothing();
    Recognizer recognizer(*grammar, 1);
    std::erase_if(values, [&](const Json* value) {
      Recognizer::State state = recognizer.start();
      for (const char byte : JsonText(*value)) state = recognizer.Step(state, static_cast<uint8_t>(byte));
      return state == Recognizer::kDead || !recognizer.Accepts(state);
    });
  }
  std::vector<std::string> texts;
  std::vector<Symbol> ways;
  for (const Json* value : values) {
    if (value->is_structured()) {
      ways.push_back(json_.Literal(*value));
    } else {
      texts.push_back(JsonText(*value));
    }
  }
  if (!texts.empty()) ways.push_back(builder_.OneOf(std::move(texts)));
  return builder_.Choice(std::move(ways));
}

Result<Symbol> SchemaCompiler::Number(const Facts& facts) {
  const bool whole = (facts.types & kFractionType) == 0;
  if (facts.range.empty()) return builder_.Nothing();
  int64_t divisor = 1;
  for (const auto& [next, schema] : facts.divisors) {
    int64_t a = divisor, b = next;
    while (b != 0) a = std::exchange(b, a % b);
    if (divisor / a > (int64_t{1} << 50) / next)
      return BadSchema(schema, "multipleOf", "the divisors are too large");
    divisor = divisor / a * next;
  }
  if (divisor > 1) {
    const auto multiples = MultiplesWithin(builder_, facts.range, divisor);
    if (multiples) return *multiples;
    return BadSchema(facts.divisors.front().second, "multipleOf",
                     "multiples of {} can be enforced between close bounds, or without bounds up to 200",
                     divisor);
  }
  if (facts.range.unbounded()) return whole ? json_.AnyInteger() : json_.AnyNumber();
  return whole ? IntegersWithin(builder_, facts.range) : NumbersWithin(builder_, facts.range);
}

Result<Symbol> SchemaCompiler::Array(const Facts& facts) {
  if (facts.min_items > facts.max_items) return builder_.Nothing();
  size_t prefix = 0;
  for (const Facts::Items& items : facts.items) prefix = std::max(prefix, items.first.size());
  const auto element = [&](size_t index) { return Value(ElementSchemas(facts, index)); };
  const Symbol comma = builder_.Sequence({builder_.Literal(","), json_.Space()});
  // What may follow the first i elements, from the last i on.
  Symbol after = builder_.Empty();
  for (size_t i = prefix + 1; i-- > 0;) {
    const auto index = static_cast<uint32_t>(i);
    if (index >= facts.max_items) {
      after = builder_.Empty();
    } else if (i == prefix && i > 0) {
      const uint32_t most = facts.max_items == kUnbounded ? kUnbounded : facts.max_items - index;
      const uint32_t least = facts.min_items > index ? facts.min_items - index : 0;
      after = builder_.Repeat(builder_.Sequence({comma, element(i)}), least, most);
    } else if (i == prefix) {  // no prefix at all
      const uint32_t most = facts.max_items == kUnbounded ? kUnbounded : facts.max_items - 1;
      const uint32_t least = facts.min_items > 1 ? facts.min_items - 1 : 0;
      after = builder_.Sequence(
          {element(i), builder_.Repeat(builder_.Sequence({comma, element(i)}), least, most), json_.Space()});
      if (facts.min_items == 0) after = builder_.Optional(after);
    } else {
      std::vector<Symbol> parts;
      if (i > 0) parts.push_back(comma);
      parts.push_back(element(i));
      parts.push_back(after);
      if (i == 0) parts.push_back(json_.Space());
      after = builder_.Sequence(std::move(parts));
      if (index >= facts.min_items) after = builder_.Optional(after);
    }
  }
  return builder_.Sequence({builder_.Literal("["), json_.Space(), after, builder_.Literal("]")});
}

// Keys and value of members that no schema names; nothing where there may be none.
Result<std::optional<Symbol>> SchemaCompiler::OtherPair(const Schema& schema, const Facts& facts,
                                                        const std::vector<std::string>& names) {
  const Facts::Members* patterned = nullptr;
  for (const Facts::Members& members : facts.members) {
    if (members.patterns.empty()) continue;
    if (patterned || members.patterns.size() > 1) {
      return BadSchema(members.schema, "patternProperties",
                       "several patterns for one object cannot be enforced");
    }
    patterned = &members;
  }
  std::optional<Symbol> key;
  if (patterned) {
    // Only keys that the pattern matches: where others are allowed, none of them is written.
    const std::string& pattern = patterned->patterns.front().first;
    if (!facts.member_names.empty()) {
      return BadSchema(patterned->schema, "patternProperties",
                       "beside propertyNames this cannot be enforced");
    }
    Facts content;
    content.expressions.push_back({pattern, false, patterned->schema, "patternProperties"});
    HONE_TRY(key, String(content));
  } else if (!facts.member_names.empty()) {
    HONE_TRY(const std::vector<Facts> alternatives, document_.Expand(facts.member_names));
    std::vector<Symbol> ways;
    for (Facts alternative : alternatives) {
      if (!(alternative.types & kStringType)) continue;
      alternative.types = kStringType;
      HONE_TRY(ways.emplace_back(builder_.Empty()), Alternative(schema, alternative));
    }
    key = builder_.Choice(std::move(ways));
  } else {
    std::vector<std::u32string> words;
    for (const std::string& name : names) words.push_back(Characters(name));
    key = json_.StringBut(std::move(words));
  }
  const Schemas values = OtherMemberSchemas(facts, patterned);
  const bool none = std::any_of(values.begin(), values.end(), [](const Schema& value) {
    return value.json->is_boolean() && !value.json->get<bool>();
  });
  if (none) return std::optional<Symbol>();
  if (patterned || !facts.member_names.empty()) {
    HONE_CHECK_OK(CheckNames(patterned ? patterned->schema : facts.member_names.front(), *key, names));
  }
  return std::optional<Symbol>(json_.Pair(*key, Value(values)));
}

// A free key must never be one that is declared: then its value would escape its schema.
Result<void> SchemaCompiler::CheckNames(const Schema& schema, Symbol key,
                                        const std::vector<std::string>& names) {
  if (names.empty()) return {};
  GrammarBuilder copy = builder_;
  const auto grammar = copy.Finish(key, "JSON schema");
  if (!grammar) return {};
  Recognizer recognizer(*grammar, 1);
  for (const std::string& name : names) {
    Recognizer::State state = recognizer.start();
    for (const char byte : JsonText(name)) state = recognizer.Step(state, static_cast<uint8_t>(byte));
    if (state != Recognizer::kDead && recognizer.Accepts(state)) {
      return BadSchema(schema, "",
                       "a free name may be \"{}\", which properties declare: this cannot be enforced",
                       name.substr(0, 40));
    }
  }
  return {};
}

Result<Symbol> SchemaCompiler::Object(const Schema& schema, const Facts& facts) {
  if (facts.types == kObjectType && facts.only_types()) return json_.AnyObject();
  std::vector<Member> members;
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) -> Result<void> {
    if (std::find(names.begin(), names.end(), name) != names.end()) return {};
    names.push_back(name);
    const bool required =
        std::find(facts.required.begin(), facts.required.end(), name) != facts.required.end();
    HONE_TRY(const Schemas schemas, MemberSchemas(facts, name));
    if (!required && std::any_of(schemas.begin(), schemas.end(), [](const Schema& member) {
          return member.json->is_boolean() && !member.json->get<bool>();
        })) {
      return {};
    }
    members.push_back({json_.Pair(builder_.Literal(JsonText(name)), Value(schemas)), required});
    return {};
  };
  for (const Facts::Members& of : facts.members) {
    for (const auto& [name, member] : of.named) HONE_CHECK_OK(add(name));
  }
  for (const std::string& name : facts.required) HONE_CHECK_OK(add(name));
  HONE_TRY(const std::optional<Symbol> other, OtherPair(schema, facts, names));
  return Members(facts, members, other);
}

Result<Symbol> SchemaCompiler::Members(const Facts& facts, const std::vector<Member>& members,
                                       const std::optional<Symbol>& other) {
  const auto count = static_cast<uint32_t>(members.size());
  const auto required = static_cast<uint32_t>(
      std::count_if(members.begin(), members.end(), [](const Member& m) { return m.required; }));
  const bool bounded_above = facts.max_members != kUnbounded && (other || facts.max_members < count);
  const bool bounded_below = facts.min_members > required;
  // Free names may repeat, and then count once: only one of them is sure to count.
  if (facts.min_members > count + (other ? 1 : 0)) {
    return BadSchema(*facts.members_schema, "minProperties",
                     "{} is more than the names that are declared: this cannot be enforced",
                     facts.min_members);
  }
  // How many members are written matters only up to the last bound.
  uint32_t counted = 1;  // whether there is one before, for the comma
  if (bounded_below) counted = std::max(counted, facts.min_members);
  if (bounded_above) counted = std::max(counted, std::min(facts.max_members, count));
  if (size_t{counted + 1} * (count + 1) > kMostCountedMembers) {
    return BadSchema(*facts.members_schema, bounded_below ? "minProperties" : "maxProperties",
                     "together with {} declared names this is too large", count);
  }
  const Symbol comma = builder_.Sequence({builder_.Literal(","), json_.Space()});
  const auto pair = [&](Symbol symbol, uint32_t before) {
    return before == 0 ? symbol : builder_.Sequence({comma, symbol});
  };
  // after[k]: what may follow the members so far, k of which are written (k = counted: or more).
  std::vector<Symbol> after;
  for (uint32_t k = 0; k <= counted; ++k) {
    const uint32_t least = bounded_below && facts.min_members > k ? facts.min_members - k : 0;
    const uint32_t most = !bounded_above ? kUnbounded : facts.max_members > k ? facts.max_members - k : 0;
    const Symbol close = k == 0 ? builder_.Empty() : json_.Space();
    std::vector<Symbol> ways;
    if (least == 0) ways.push_back(close);
    if (other && most > 0 && least <= 1) {
      const uint32_t more = most == kUnbounded ? kUnbounded : most - 1;
      ways.push_back(builder_.Sequence(
          {pair(*other, k), builder_.Repeat(builder_.Sequence({comma, *other}), 0, more), json_.Space()}));
    }
    after.push_back(builder_.Choice(std::move(ways)));
  }
  for (size_t i = members.size(); i-- > 0;) {
    std::vector<Symbol> before;
    for (uint32_t k = 0; k <= counted; ++k) {
      std::vector<Symbol> ways;
      if (!bounded_above || k < facts.max_members) {
        ways.push_back(builder_.Sequence({pair(members[i].pair, k), after[std::min(k + 1, counted)]}));
      }
      if (!members[i].required) ways.push_back(after[k]);
      before.push_back(builder_.Choice(std::move(ways)));
    }
    after = std::move(before);
  }
  return builder_.Sequence({builder_.Literal("{"), json_.Space(), after[0], builder_.Literal("}")});
}

Result<Json> ParseSchemaText(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kDeepestJson) return BadInput("JSON schema", "#", "nested deeper than {}", kDeepestJson);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) return BadInput("JSON schema", "#", "not valid JSON");
  return json;
}

namespace {

int DepthOf(const Json& json) {
  // Breadth first, so that no depth is too deep to be measured.
  std::vector<const Json*> level{&json};
  int depth = 0;
  for (; !level.empty() && depth <= kDeepestJson; ++depth) {
    std::vector<const Json*> next;
    for (const Json* value : level) {
      if (!value->is_structured()) continue;
      for (const Json& member : *value) next.push_back(&member);
    }
    level = std::move(next);
  }
  return depth;
}

}  // namespace

Result<Constraint> CompileJsonSchemaValue(const Json& schema) {
  if (DepthOf(schema) > kDeepestJson)
    return BadInput("JSON schema", "#", "nested deeper than {}", kDeepestJson);
  if (!schema.is_object() && !schema.is_boolean()) {
    return BadInput("JSON schema", "#", "found {}, expected a schema (an object)", schema.type_name());
  }
  const SchemaDocument document(schema);
  GrammarBuilder builder;
  SchemaCompiler compiler(document, builder);
  HONE_TRY(const Symbol root, compiler.Compile({document.root()}));
  Constraint constraint;
  HONE_TRY(constraint.grammar, builder.Finish(root, "JSON schema"));
  return constraint;
}

Result<Constraint> CompileJsonSchema(std::string_view text) {
  HONE_TRY(const Json schema, ParseSchemaText(text));
  return CompileJsonSchemaValue(schema);
}

Result<Constraint> AnyJsonObject() {
  GrammarBuilder builder;
  JsonGrammar json(builder);
  Constraint constraint;
  HONE_TRY(constraint.grammar, builder.Finish(json.AnyObject(), "JSON object"));
  return constraint;
}

}  // namespace hone
