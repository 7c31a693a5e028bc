// Values of the template language, with Python's types and Python's equality, order and truth. Containers
// never change once they are made (the sandbox refuses mutation); namespaces, cyclers, joiners and loops do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/formats/template/text.h"

namespace hone::chat {

class Evaluator;
class Value;

enum class Kind : uint8_t {
  kMissing,    // no value at all: an argument that was not given
  kUndefined,  // jinja2's Undefined; a Text object holds why
  kNone,
  kBool,
  kInteger,
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kRange,
  kIterator,  // what map, select, reverse and their like return: iterated once
  kDictView,  // keys(), values(), items()
  kNamespace,
  kCallable,
  kLoop,
};

// Containers nested deeper are refused, so that nothing that walks a value recurses without bound.
constexpr int kMaximumNesting = 200;

struct Object {
  virtual ~Object() = default;
  int nesting = 0;  // containers below this one
};

struct TextObject : Object {
  explicit TextObject(Text t) : text(std::move(t)) {}
  Text text;
};

using Values = std::vector<Value>;

class Value {
 public:
  Value() : integer_(0) {}
  static Value Undefined(std::string why);
  static Value None(bool tainted = false) { return Value(Kind::kNone, 0, tainted); }
  static Value Bool(bool value, bool tainted = false) { return Value(Kind::kBool, value, tainted); }
  static Value Integer(int64_t value, bool tainted = false) { return Value(Kind::kInteger, value, tainted); }
  static Value Float(double value, bool tainted = false);
  static Value String(Text text);
  static Value String(std::string bytes, bool tainted);
  // Text that is HTML already: markupsafe's Markup, which safe and escape make. What is put into it or joined
  // to it is escaped.
  static Value Markup(Text text);
  // An integer beyond int64_t: it computes as a double and prints its own digits.
  static Value LargeInteger(uint64_t value, bool tainted);
  static Value List(Values items, bool tainted = false);
  static Value Tuple(Values items, bool tainted = false);
  static Value Iterator(Values items, std::string type_name = "generator");
  static Value Of(Kind kind, std::shared_ptr<Object> object, bool tainted = false);

  Kind kind() const { return kind_; }
  bool Is(Kind kind) const { return kind_ == kind; }
  bool IsNumber() const { return kind_ == Kind::kInteger || kind_ == Kind::kFloat || kind_ == Kind::kBool; }
  bool IsIntegral() const { return kind_ == Kind::kInteger || kind_ == Kind::kBool; }
  // Whether the value itself (a number, a container's brackets) came from the variables; a string asks its
  // runs.
  bool tainted() const { return tainted_; }
  void set_tainted(bool tainted) { tainted_ = tainted; }
  bool is_markup() const { return is_markup_; }
  bool IsLargeInteger() const { return kind_ == Kind::kFloat && object_; }
  // A string of this value's type: markup where this is.
  Value StringLike(Text text) const { return is_markup_ ? Markup(std::move(text)) : String(std::move(text)); }

  int64_t integer() const { return integer_; }  // of a bool or an integer
  double real() const { return real_; }
  double number() const { return kind_ == Kind::kFloat ? real_ : static_cast<double>(integer_); }
  // Of a string; why a value is undefined; the digits of a large integer.
  const Text& text() const { return static_cast<const TextObject*>(object_.get())->text; }
  std::string_view bytes() const { return text().bytes(); }
  const Values& items() const;  // of a list, tuple, iterator or view
  template <class T>
  T& As() const {
    return *static_cast<T*>(object_.get());
  }
  const std::shared_ptr<Object>& object() const { return object_; }

 private:
  Value(Kind kind, int64_t integer, bool tainted) : kind_(kind), tainted_(tainted), integer_(integer) {}
  Kind kind_ = Kind::kMissing;
  bool tainted_ = false;
  bool is_markup_ = false;
  union {
    int64_t integer_;
    double real_;
  };
  std::shared_ptr<Object> object_;
};

struct ItemsObject : Object {
  Values items;
  std::string type_name;                      // of an iterator or a view, as Python prints it
  bool consumed = false;                      // of an iterator
  std::vector<std::string_view> field_names;  // of a group: grouper, list
};

struct RangeObject : Object {
  int64_t start = 0, stop = 0, step = 1;
  int64_t size() const;
};

// Insertion-ordered; keys are strings, numbers, none or tuples of them.
struct DictObject : Object {
  std::vector<std::pair<Value, Value>> entries;
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;
  void Set(Value key, Value value);

 private:
  std::optional<size_t> Position(const Value& key) const;
  std::unordered_multimap<size_t, size_t> index_;  // hash of key -> entry, once there are many
};

struct NamespaceObject : Object {
  std::vector<std::pair<std::string, Value>> attributes;
  Value* Find(std::string_view name);
};

struct Arguments {
  Values positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct CallableObject : Object {
  std::string name;
  virtual Value Call(Evaluator& evaluator, Arguments& arguments) = 0;
  virtual Value Attribute(std::string_view /*name*/) { return {}; }
};

// "str", "int", "NoneType", "dict", ...
std::string TypeName(const Value& value);
bool Truth(const Value& value);
bool Equal(const Value& a, const Value& b);
// -1, 0, 1 as Python's < would order them; fails where Python raises TypeError. `operation` is for the
// message.
int Compare(const Value& a, const Value& b, std::string_view operation);
size_t Hash(const Value& value);  // fails for what Python cannot hash
// Number of elements, or nothing where Python's len() fails.
std::optional<int64_t> Length(const Value& value);
int NestingOf(const Values& items);

}  // namespace hone::chat
