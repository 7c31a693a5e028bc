// str.isdigit and its like.
#include "core/formats/template/arguments.h"
#include "core/formats/template/methods.h"
#include "core/formats/template/unicode.h"

namespace hone::chat {

namespace {

// Whether the string is not empty and each of its characters holds.
template <bool (*holds)(char32_t)>
Value All(Evaluator&, const Value& self, Arguments& arguments) {
  BindNothing("str test method", arguments);
  const std::string_view bytes = self.bytes();
  for (size_t at = 0; at < bytes.size();) {
    const CodePoint point = DecodeAt(bytes, at);
    if (!point.valid || !holds(point.value)) return Value::Bool(false);
    at += point.size;
  }
  return Value::Bool(!bytes.empty());
}

bool IsAlphaNumeric(char32_t c) { return IsAlpha(c) || IsNumeric(c) || IsDecimal(c) || IsDigit(c); }
bool IsAscii(char32_t c) { return c < 0x80; }

Value IsAsciiMethod(Evaluator& evaluator, const Value& self, Arguments& arguments) {
  return self.bytes().empty() ? Value::Bool(true) : All<IsAscii>(evaluator, self, arguments);
}

Value IsPrintableMethod(Evaluator& evaluator, const Value& self, Arguments& arguments) {
  return self.bytes().empty() ? Value::Bool(true) : All<IsPrintable>(evaluator, self, arguments);
}

// All cased characters are of one case, and there is one.
template <bool (*wanted)(char32_t)>
Value OneCase(Evaluator&, const Value& self, Arguments& arguments) {
  BindNothing("str test method", arguments);
  const std::string_view bytes = self.bytes();
  bool any = false;
  for (size_t at = 0; at < bytes.size();) {
    const CodePoint point = DecodeAt(bytes, at);
    if (point.valid && IsCased(point.value)) {
      if (!wanted(point.value)) return Value::Bool(false);
      any = true;
    }
    at += point.size;
  }
  return Value::Bool(any);
}

// Words begin with upper or title case and go on in lower case.
Value IsTitleMethod(Evaluator&, const Value& self, Arguments& arguments) {
  BindNothing("istitle", arguments);
  const std::string_view bytes = self.bytes();
  bool any = false;
  bool after_cased = false;
  for (size_t at = 0; at < bytes.size();) {
    const CodePoint point = DecodeAt(bytes, at);
    const bool upper = point.valid && (IsUpper(point.value) || IsTitle(point.value));
    const bool lower = point.valid && IsLower(point.value);
    if ((upper && after_cased) || (lower && !after_cased)) return Value::Bool(false);
    any = any || upper || lower;
    after_cased = upper || lower;
    at += point.size;
  }
  return Value::Bool(any);
}

Value IsIdentifier(Evaluator& evaluator, const Value& self, Arguments& arguments) {
  const std::string_view bytes = self.bytes();
  if (bytes.empty() || IsNumeric(DecodeAt(bytes, 0).value)) return Value::Bool(false);
  return All<IsWordCharacter>(evaluator, self, arguments);
}

constexpr MethodEntry kMethods[] = {
    {"isalnum", All<IsAlphaNumeric>}, {"isalpha", All<IsAlpha>},     {"isascii", IsAsciiMethod},
    {"isdecimal", All<IsDecimal>},    {"isdigit", All<IsDigit>},     {"isidentifier", IsIdentifier},
    {"islower", OneCase<IsLower>},    {"isnumeric", All<IsNumeric>}, {"isprintable", IsPrintableMethod},
    {"isspace", All<IsSpace>},        {"istitle", IsTitleMethod},    {"isupper", OneCase<IsUpper>},
};

}  // namespace

const MethodEntry* FindStringTestMethod(std::string_view name) {
  for (const MethodEntry& entry : kMethods) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace hone::chat
