#include <algorithm>

#include "core/formats/template/evaluator.h"
#include "core/formats/template/evaluator_guards.h"
#include "core/formats/template/loop.h"
#include "core/formats/template/methods.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"

namespace hone::chat {

namespace {

// A macro, or the caller of a call block: a body and the scope in which it was defined.
struct MacroObject : CallableObject {
  const Statement* statement = nullptr;
  Scope* scope = nullptr;
  Value Call(Evaluator& evaluator, Arguments& arguments) override {
    return evaluator.CallMacro(*statement, scope, name, arguments);
  }
  Value Attribute(std::string_view attribute) override {
    return attribute == "name" ? Value::String(name, false) : Value();
  }
};

}  // namespace

Arguments Evaluator::EvaluateArguments(const CallArguments& call) {
  Arguments arguments;
  arguments.positional.reserve(call.positional.size());
  for (const auto& argument : call.positional) arguments.positional.push_back(Evaluate(*argument));
  for (const auto& [name, argument] : call.named) arguments.named.emplace_back(name, Evaluate(*argument));
  if (call.star) {
    for (Value& value : ToList(*this, Evaluate(*call.star))) arguments.positional.push_back(std::move(value));
  }
  if (call.star_star) {
    const Value more = Evaluate(*call.star_star);
    if (!more.Is(Kind::kDict)) Fail("argument after ** must be a mapping, not {}", TypeName(more));
    for (const auto& [key, value] : more.As<DictObject>().entries) {
      if (!key.Is(Kind::kString)) Fail("keywords must be strings");
      arguments.named.emplace_back(key.bytes(), value);
    }
  }
  return arguments;
}

Value Evaluator::EvaluateCall(const Expression& node, const Value* caller) {
  const Expression& callee = *node.operands[0];
  const bool is_method = callee.kind == ExpressionKind::kGetAttribute;
  const Value target = Evaluate(is_method ? *callee.operands[0] : callee);
  const MethodEntry* method = nullptr;
  Value function;
  if (is_method && !target.Is(Kind::kLoop)) {
    method = FindMethod(target, callee.text);
    if (!method) function = GetAttribute(*this, target, callee.text);
  }
  Arguments arguments = EvaluateArguments(node.call);
  if (caller) arguments.named.emplace_back("caller", *caller);
  line_ = node.line;
  if (method) return method->call(*this, target, arguments);
  if (is_method && target.Is(Kind::kLoop)) {
    bool found = false;
    Value result = CallLoopMethod(*this, target, callee.text, arguments, found);
    return found ? result : Call(GetAttribute(*this, target, callee.text), arguments);
  }
  return Call(is_method ? function : target, arguments);
}

Value Evaluator::Call(const Value& function, Arguments& arguments) {
  if (function.Is(Kind::kCallable)) return function.As<CallableObject>().Call(*this, arguments);
  if (function.Is(Kind::kLoop)) return CallLoop(function.As<LoopObject>(), arguments);
  if (function.Is(Kind::kUndefined)) Fail("{}", function.bytes());
  Fail("'{}' object is not callable", TypeName(function));
}

Value Evaluator::MakeMacro(const Statement& statement, std::string name) {
  for (Scope* scope = scope_; scope && !scope->captured; scope = scope->parent) scope->captured = true;
  auto macro = std::make_shared<MacroObject>();
  macro->name = std::move(name);
  macro->statement = &statement;
  macro->scope = scope_;
  return Value::Of(Kind::kCallable, std::move(macro));
}

void Evaluator::ExecuteMacro(const Statement& statement) {
  scope_->Set(statement.name, MakeMacro(statement, tree_.names[static_cast<size_t>(statement.name)]));
}

void Evaluator::ExecuteCallBlock(const Statement& statement) {
  const Value caller = MakeMacro(statement, "caller");
  const Level level(*this);
  Write(EvaluateCall(*statement.expressions[0], &caller));
}

Value Evaluator::CallMacro(const Statement& macro, Scope* scope, std::string_view name,
                           Arguments& arguments) {
  struct Count {
    int& calls;
    ~Count() { --calls; }
  } count{++calls_};
  if (calls_ > limits_.depth) Fail("calls are nested deeper than {}", limits_.depth);
  const int line = line_;
  TextBuilder text;
  TextBuilder* const outer = std::exchange(out_, &text);
  {
    const ScopeGuard guard(*this, scope);
    BindParameters(macro, name, arguments);
    ExecuteBody(macro.bodies[0]);
  }
  out_ = outer;
  line_ = line;
  return Value::String(text.Take());
}

void Evaluator::BindParameters(const Statement& macro, std::string_view name, Arguments& arguments) {
  const auto& parameters = macro.signature.parameters;
  auto& named = arguments.named;
  const auto take_named = [&](std::string_view parameter) -> Value {
    const auto it =
        std::find_if(named.begin(), named.end(), [&](const auto& entry) { return entry.first == parameter; });
    if (it == named.end()) return {};
    Value value = std::move(it->second);
    named.erase(it);
    return value;
  };
  const size_t required = parameters.size() - macro.signature.defaults.size();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::string& parameter = tree_.names[static_cast<size_t>(parameters[i])];
    Value value = i < arguments.positional.size() ? arguments.positional[i] : take_named(parameter);
    if (value.Is(Kind::kMissing)) {
      value = i >= required ? Evaluate(*macro.signature.defaults[i - required])
                            : Value::Undefined(fmt::format("parameter '{}' was not provided", parameter));
    }
    scope_->Set(parameters[i], std::move(value));
  }
  const auto is_parameter = [&](int id) {
    return std::find(parameters.begin(), parameters.end(), id) != parameters.end();
  };
  if (macro.uses_caller && !is_parameter(kCallerName)) {
    Value caller = take_named("caller");
    scope_->Set(kCallerName,
                caller.Is(Kind::kMissing) ? Value::Undefined("No caller defined") : std::move(caller));
  }
  if (macro.uses_kwargs && !is_parameter(kKwargsName)) {
    auto dict = std::make_shared<DictObject>();
    for (auto& [key, value] : named) dict->Set(Value::String(key, false), std::move(value));
    scope_->Set(kKwargsName, Value::Of(Kind::kDict, std::move(dict)));
  } else if (!named.empty()) {
    Fail("macro '{}' takes no keyword argument '{}'", name, named.front().first);
  }
  if (macro.uses_varargs && !is_parameter(kVarargsName)) {
    Values rest;
    for (size_t i = parameters.size(); i < arguments.positional.size(); ++i)
      rest.push_back(arguments.positional[i]);
    scope_->Set(kVarargsName, Value::Tuple(std::move(rest)));
  } else if (arguments.positional.size() > parameters.size()) {
    Fail("macro '{}' takes not more than {} argument(s)", name, parameters.size());
  }
}

Value Evaluator::CallLoop(LoopObject& outer_loop, Arguments& arguments) {
  if (!outer_loop.statement->recursive) {
    Fail("The loop must have the 'recursive' marker to be called recursively.");
  }
  if (outer_loop.ended) Fail("a loop is called after its end");
  if (arguments.positional.size() != 1 || !arguments.named.empty()) Fail("loop() takes one argument");
  struct Count {
    int& calls;
    ~Count() { --calls; }
  } count{++calls_};
  if (calls_ > limits_.depth) Fail("calls are nested deeper than {}", limits_.depth);
  auto loop = std::make_shared<LoopObject>();
  loop->source = ToList(*this, arguments.positional[0]);
  loop->statement = outer_loop.statement;
  loop->scope = outer_loop.scope;
  loop->depth0 = outer_loop.depth0 + 1;
  TextBuilder text;
  TextBuilder* const outer = std::exchange(out_, &text);
  RunLoop(*loop->statement, *loop, loop);
  out_ = outer;
  return Value::String(text.Take());
}

}  // namespace hone::chat
