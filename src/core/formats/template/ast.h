// The syntax tree of a template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/formats/template/value.h"

namespace hone::chat {

struct FilterEntry;
struct TestEntry;

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr star;       // *values
  ExpressionPtr star_star;  // **values
};

enum class ExpressionKind {
  kConstant,
  kName,
  kTuple,
  kList,
  kDict,          // operands: key, value, key, value
  kGetAttribute,  // operands[0].text
  kGetItem,       // operands[0][operands[1]]
  kSlice,         // operands: start, stop, step; each may be null
  kCall,          // operands[0](call)
  kFilter,        // operands[0] (null in a filter block) | text(call)
  kTest,          // operands[0] is text(call)
  kNegate,
  kPlus,
  kNot,
  kArithmetic,  // operators[0] over two operands
  kConcat,      // all operands, as strings
  kCompare,     // operands[0] operators[0] operands[1] operators[1] ...
  kAnd,
  kOr,
  kCondition,  // operands: value, test, otherwise (may be null)
};

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 0;
  int height = 1;  // longest way down to a leaf
  int name = 0;    // id of a kName
  std::string text;
  Value constant;
  std::vector<ExpressionPtr> operands;
  std::vector<Operator> operators;
  CallArguments call;
  const FilterEntry* filter = nullptr;  // null: unknown, an error once it is evaluated
  const TestEntry* test = nullptr;
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

// What a value is assigned to: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  enum class Kind { kName, kAttribute, kTuple };
  Kind kind = Kind::kName;
  int name = 0;
  std::string attribute;
  std::vector<Target> parts;
};

struct Signature {
  std::vector<int> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
};

enum class StatementKind {
  kData,         // text
  kOutput,       // expressions
  kIf,           // expressions[i] guards bodies[i]; one more body is the else
  kFor,          // target in expressions[0], if expressions[1] (may be null): bodies[0], else bodies[1]
  kSet,          // target = expressions[0]
  kSetBlock,     // target = bodies[0], filtered by expressions[0] (may be null)
  kMacro,        // name(signature): bodies[0]
  kCallBlock,    // expressions[0] is the call; signature and bodies[0] are its caller
  kFilterBlock,  // expressions[0] over bodies[0]
  kWith,         // targets = expressions: bodies[0]
  kScope,        // bodies[0] in a scope of its own
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind = StatementKind::kData;
  int line = 0;
  int name = 0;
  Value data;
  Target target;
  std::vector<Target> targets;
  std::vector<ExpressionPtr> expressions;
  std::vector<Body> bodies;
  Signature signature;
  bool recursive = false;     // for
  bool has_else = false;      // if
  bool uses_varargs = false;  // macro and call block: whether the body names varargs, kwargs, caller
  bool uses_kwargs = false;
  bool uses_caller = false;
};

// Ids of the names that the language itself defines.
constexpr int kLoopName = 0;
constexpr int kCallerName = 1;
constexpr int kVarargsName = 2;
constexpr int kKwargsName = 3;

struct SyntaxTree {
  Body body;
  std::vector<std::string> names;  // by id
  Values globals;                  // by id: range, dict, namespace, ...; missing where the name is no global
};

// Trees higher than this are refused, so that nothing that walks one recurses without bound.
constexpr int kMaximumHeight = 180;

}  // namespace hone::chat
