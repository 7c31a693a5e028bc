#include <utility>

#include "core/formats/template/evaluator.h"
#include "core/formats/template/evaluator_guards.h"
#include "core/formats/template/loop.h"
#include "core/formats/template/operators.h"
#include "core/formats/template/printing.h"

namespace hone::chat {

Value* Scope::Find(int name) {
  for (Scope* scope = this; scope; scope = scope->parent) {
    for (auto& [id, value] : scope->variables) {
      if (id == name) return &value;
    }
  }
  return nullptr;
}

void Scope::Set(int name, Value value) {
  for (auto& [id, old] : variables) {
    if (id == name) {
      old = std::move(value);
      return;
    }
  }
  variables.emplace_back(name, std::move(value));
}

Evaluator::Evaluator(const SyntaxTree& tree, const RenderLimits& limits, const std::tm& clock)
    : tree_(tree),
      limits_(limits),
      clock_(clock),
      steps_left_(limits.steps),
      root_(std::make_unique<Scope>()),
      scope_(root_.get()) {}

// Namespaces and scopes may hold each other in a circle: they are emptied before they go.
Evaluator::~Evaluator() {
  for (auto& space : namespaces_) space->attributes.clear();
  for (auto& scope : captured_) scope->variables.clear();
  root_->variables.clear();
}

Text Evaluator::Run() {
  TextBuilder out;
  out_ = &out;
  try {
    ExecuteBody(tree_.body);
  } catch (TemplateFailure& failure) {
    if (failure.line == 0) failure.line = line_;
    throw;
  }
  return out.Take();
}

void Evaluator::FailSteps() {
  steps_left_ = 0;
  Fail("rendering takes more than {} steps", limits_.steps);
}

namespace {
constexpr size_t kBytesPerStep = 32;  // making so many bytes counts as one evaluated node
}

void Evaluator::ChargeBytes(size_t bytes) {
  if (bytes > static_cast<size_t>(limits_.output_bytes)) {
    Fail("a text of {} bytes exceeds the limit of {}", bytes, limits_.output_bytes);
  }
  Charge(static_cast<int64_t>(bytes / kBytesPerStep));
}

void Evaluator::ChargeRepeat(int64_t count, size_t size) {
  if (count <= 0 || size == 0) return;
  if (static_cast<size_t>(count) > static_cast<size_t>(limits_.output_bytes) / size) {
    Fail("a text of {} times {} bytes exceeds the limit of {}", count, size, limits_.output_bytes);
  }
  ChargeBytes(static_cast<size_t>(count) * size);
}

std::shared_ptr<NamespaceObject> Evaluator::MakeNamespace() {
  namespaces_.push_back(std::make_shared<NamespaceObject>());
  return namespaces_.back();
}

Evaluator::Flow Evaluator::ExecuteBody(const Body& body) {
  for (const auto& statement : body) {
    if (const Flow flow = Execute(*statement); flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Evaluator::Flow Evaluator::Execute(const Statement& statement) {
  const Level level(*this);
  line_ = statement.line;
  Charge(1);
  switch (statement.kind) {
    case StatementKind::kData:
      Write(statement.data);
      break;
    case StatementKind::kOutput:
      ExecuteOutput(statement);
      break;
    case StatementKind::kIf:
      return ExecuteIf(statement);
    case StatementKind::kFor:
      ExecuteFor(statement);
      break;
    case StatementKind::kSet:
      Assign(statement.target, Evaluate(*statement.expressions[0]), *scope_);
      break;
    case StatementKind::kSetBlock: {
      Value text = Capture(statement.bodies[0]);
      if (statement.expressions[0]) text = EvaluateFilter(*statement.expressions[0], &text);
      Assign(statement.target, std::move(text), *scope_);
      break;
    }
    case StatementKind::kMacro:
      ExecuteMacro(statement);
      break;
    case StatementKind::kCallBlock:
      ExecuteCallBlock(statement);
      break;
    case StatementKind::kFilterBlock:
      ExecuteFilterBlock(statement);
      break;
    case StatementKind::kWith:
      return ExecuteWith(statement);
    case StatementKind::kScope: {
      const ScopeGuard scope(*this, scope_);
      return ExecuteBody(statement.bodies[0]);
    }
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNormal;
}

void Evaluator::Write(const Value& value) {
  const size_t before = out_->size();
  AppendString(*this, *out_, value);
  if (out_->size() > static_cast<size_t>(limits_.output_bytes)) {
    Fail("the output exceeds the limit of {} bytes", limits_.output_bytes);
  }
  Charge(static_cast<int64_t>((out_->size() - before) / kBytesPerStep));
}

void Evaluator::ExecuteOutput(const Statement& statement) {
  for (const auto& expression : statement.expressions) Write(Evaluate(*expression));
}

Evaluator::Flow Evaluator::ExecuteIf(const Statement& statement) {
  for (size_t i = 0; i < statement.expressions.size(); ++i) {
    if (Truth(Evaluate(*statement.expressions[i]))) return ExecuteBody(statement.bodies[i]);
  }
  return statement.has_else ? ExecuteBody(statement.bodies.back()) : Flow::kNormal;
}

void Evaluator::ExecuteFor(const Statement& statement) {
  auto loop = std::make_shared<LoopObject>();
  loop->source = ToList(*this, Evaluate(*statement.expressions[0]));
  loop->statement = &statement;
  loop->scope = scope_;
  RunLoop(statement, *loop, loop);
}

void Evaluator::RunLoop(const Statement& statement, LoopObject& loop,
                        const std::shared_ptr<LoopObject>& owner) {
  loop.nesting = NestingOf(loop.source) + 1;
  const Value loop_value = Value::Of(Kind::kLoop, owner);
  // When the loop is left, what it remembers goes: it could hold itself.
  struct End {
    LoopObject& loop;
    ~End() {
      loop.ended = true;
      loop.last_changed = Value();
    }
  } end{loop};
  bool any = false;
  while (loop.Advance(*this)) {
    any = true;
    const ScopeGuard scope(*this, loop.scope);
    Assign(statement.target, loop.current, *scope_);
    scope_->Set(kLoopName, loop_value);
    if (ExecuteBody(statement.bodies[0]) == Flow::kBreak) break;
    Charge(1);
  }
  if (!any && !statement.bodies[1].empty()) {
    const ScopeGuard scope(*this, loop.scope);
    ExecuteBody(statement.bodies[1]);
  }
}

bool Evaluator::PassesFilter(LoopObject& loop, const Value& item) {
  const Expression* test = loop.statement->expressions[1].get();
  if (!test) return true;
  if (loop.ended) Fail("a loop is used after its end");
  Charge(1);
  const ScopeGuard scope(*this, loop.scope);
  Assign(loop.statement->target, item, *scope_);
  return Truth(Evaluate(*test));
}

void Evaluator::Assign(const Target& target, Value value, Scope& scope) {
  switch (target.kind) {
    case Target::Kind::kName:
      scope.Set(target.name, std::move(value));
      return;
    case Target::Kind::kAttribute: {
      const Value* space = scope.Find(target.name);
      if (!space || !space->Is(Kind::kNamespace)) Fail("cannot assign attribute on non-namespace object");
      auto& object = space->As<NamespaceObject>();
      if (Value* old = object.Find(target.attribute)) {
        *old = std::move(value);
      } else {
        object.attributes.emplace_back(target.attribute, std::move(value));
      }
      return;
    }
    case Target::Kind::kTuple: {
      Values parts = ToList(*this, value);
      if (parts.size() > target.parts.size())
        Fail("too many values to unpack (expected {})", target.parts.size());
      if (parts.size() < target.parts.size()) {
        Fail("not enough values to unpack (expected {}, got {})", target.parts.size(), parts.size());
      }
      for (size_t i = 0; i < parts.size(); ++i) Assign(target.parts[i], std::move(parts[i]), scope);
      return;
    }
  }
}

Value Evaluator::Capture(const Body& body) {
  TextBuilder text;
  TextBuilder* const outer = std::exchange(out_, &text);
  {
    const ScopeGuard scope(*this, scope_);
    ExecuteBody(body);
  }
  out_ = outer;
  return Value::String(text.Take());
}

void Evaluator::ExecuteFilterBlock(const Statement& statement) {
  const Value text = Capture(statement.bodies[0]);
  Write(EvaluateFilter(*statement.expressions[0], &text));
}

Evaluator::Flow Evaluator::ExecuteWith(const Statement& statement) {
  Values values;
  for (const auto& expression : statement.expressions) values.push_back(Evaluate(*expression));
  const ScopeGuard scope(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) Assign(statement.targets[i], std::move(values[i]), *scope_);
  return ExecuteBody(statement.bodies[0]);
}

}  // namespace hone::chat
