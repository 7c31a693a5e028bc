#include "core/formats/template/evaluator.h"
#include "core/formats/template/evaluator_guards.h"
#include "core/formats/template/filters.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"
#include "core/formats/template/value_tests.h"

namespace hone::chat {

Value Evaluator::Evaluate(const Expression& node) {
  const Level level(*this);
  line_ = node.line;
  Charge(1);
  switch (node.kind) {
    case ExpressionKind::kConstant:
      return node.constant;
    case ExpressionKind::kName:
      return EvaluateName(node);
    case ExpressionKind::kTuple:
    case ExpressionKind::kList:
      return EvaluateContainer(node);
    case ExpressionKind::kDict:
      return EvaluateDict(node);
    case ExpressionKind::kGetAttribute:
      return GetAttribute(*this, Evaluate(*node.operands[0]), node.text);
    case ExpressionKind::kGetItem:
      return EvaluateItem(node);
    case ExpressionKind::kSlice:
      Fail("a slice stands alone");
    case ExpressionKind::kCall:
      return EvaluateCall(node);
    case ExpressionKind::kFilter:
      return EvaluateFilter(node, nullptr);
    case ExpressionKind::kTest:
      return EvaluateTest(node);
    case ExpressionKind::kNegate:
      return Negate(Evaluate(*node.operands[0]), true);
    case ExpressionKind::kPlus:
      return Negate(Evaluate(*node.operands[0]), false);
    case ExpressionKind::kNot:
      return Value::Bool(!Truth(Evaluate(*node.operands[0])));
    case ExpressionKind::kArithmetic:
      return EvaluateArithmetic(node);
    case ExpressionKind::kConcat:
      return EvaluateConcat(node);
    case ExpressionKind::kCompare:
      return EvaluateCompare(node);
    case ExpressionKind::kAnd:
    case ExpressionKind::kOr:
    case ExpressionKind::kCondition:
      return EvaluateLogic(node);
  }
  Fail("an unknown kind of expression");
}

Value Evaluator::EvaluateName(const Expression& node) {
  if (const Value* value = scope_->Find(node.name)) {
    if (!value->Is(Kind::kMissing)) return *value;
  }
  const auto name = static_cast<size_t>(node.name);
  if (!tree_.globals[name].Is(Kind::kMissing)) return tree_.globals[name];
  return Value::Undefined(fmt::format("'{}' is undefined", tree_.names[name]));
}

Value Evaluator::EvaluateContainer(const Expression& node) {
  Values items;
  items.reserve(node.operands.size());
  for (const auto& operand : node.operands) items.push_back(Evaluate(*operand));
  return node.kind == ExpressionKind::kList ? Value::List(std::move(items)) : Value::Tuple(std::move(items));
}

Value Evaluator::EvaluateDict(const Expression& node) {
  auto dict = std::make_shared<DictObject>();
  for (size_t i = 0; i < node.operands.size(); i += 2) {
    Value key = Evaluate(*node.operands[i]);
    dict->Set(std::move(key), Evaluate(*node.operands[i + 1]));
  }
  return Value::Of(Kind::kDict, std::move(dict));
}

Value Evaluator::EvaluateItem(const Expression& node) {
  const Value value = Evaluate(*node.operands[0]);
  const Expression& key = *node.operands[1];
  if (key.kind != ExpressionKind::kSlice) return GetItem(*this, value, Evaluate(key));
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    if (key.operands[i]) bounds[i] = Evaluate(*key.operands[i]);
  }
  return GetSlice(*this, value, bounds[0], bounds[1], bounds[2]);
}

Value Evaluator::EvaluateFilter(const Expression& node, const Value* input) {
  Value value;
  if (node.operands[0]) {
    const Expression& operand = *node.operands[0];
    value =
        input && operand.kind == ExpressionKind::kFilter ? EvaluateFilter(operand, input) : Evaluate(operand);
  } else {
    value = *input;
  }
  Arguments arguments = EvaluateArguments(node.call);
  line_ = node.line;
  if (!node.filter) Fail("unknown filter '{}'", node.text);
  return node.filter->apply(*this, value, arguments);
}

Value Evaluator::EvaluateTest(const Expression& node) {
  const Value value = Evaluate(*node.operands[0]);
  Arguments arguments = EvaluateArguments(node.call);
  line_ = node.line;
  if (!node.test) Fail("unknown test '{}'", node.text);
  return Value::Bool(node.test->holds(*this, value, arguments));
}

Value Evaluator::EvaluateArithmetic(const Expression& node) {
  const Value left = Evaluate(*node.operands[0]);
  const Value right = Evaluate(*node.operands[1]);
  line_ = node.line;
  return Arithmetic(*this, node.operators[0], left, right);
}

Value Evaluator::EvaluateConcat(const Expression& node) {
  TextBuilder text;
  for (const auto& operand : node.operands) AppendString(*this, text, Evaluate(*operand));
  ChargeBytes(text.size());
  return Value::String(text.Take());
}

Value Evaluator::EvaluateCompare(const Expression& node) {
  Value left = Evaluate(*node.operands[0]);
  for (size_t i = 0; i < node.operators.size(); ++i) {
    Value right = Evaluate(*node.operands[i + 1]);
    line_ = node.line;
    if (!CompareWith(*this, node.operators[i], left, right)) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

// and, or: the operand that decides, as in Python; a condition without an else is undefined where it fails.
Value Evaluator::EvaluateLogic(const Expression& node) {
  if (node.kind == ExpressionKind::kCondition) {
    if (Truth(Evaluate(*node.operands[1]))) return Evaluate(*node.operands[0]);
    if (node.operands[2]) return Evaluate(*node.operands[2]);
    return Value::Undefined(
        fmt::format("the inline if-expression on line {} evaluated to false and no else section was defined.",
                    node.line));
  }
  const bool decides = node.kind == ExpressionKind::kOr;
  Value value;
  for (const auto& operand : node.operands) {
    value = Evaluate(*operand);
    if (Truth(value) == decides) break;
  }
  return value;
}

}  // namespace hone::chat
