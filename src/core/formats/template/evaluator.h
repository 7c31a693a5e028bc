// Runs a syntax tree over variables, within bounds.
#pragma once

#include <ctime>
#include <memory>
#include <string_view>
#include <vector>

#include "core/formats/template/ast.h"
#include "core/formats/template/chat_template.h"
#include "core/formats/template/failure.h"
#include "core/formats/template/text.h"
#include "core/formats/template/value.h"

namespace hone::chat {

struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<int, Value>> variables;
  bool captured = false;  // a macro may look here later: the scope lives until the rendering ends

  Value* Find(int name);
  void Set(int name, Value value);
};

struct LoopObject;

class Evaluator {
 public:
  Evaluator(const SyntaxTree& tree, const RenderLimits& limits, const std::tm& clock);
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  void Define(int name, Value value) { root_->Set(name, std::move(value)); }
  Text Run();

  // Counts work; fails when the limit is spent.
  void Charge(int64_t steps) {
    if ((steps_left_ -= steps) < 0) FailSteps();
  }
  // Counts the making of `bytes` of text, and refuses a text beyond the output's limit.
  void ChargeBytes(size_t bytes);
  // The same for `count` repetitions of `size` bytes, before they are made.
  void ChargeRepeat(int64_t count, size_t size);

  Value Call(const Value& function, Arguments& arguments);
  Value CallMacro(const Statement& macro, Scope* scope, std::string_view name, Arguments& arguments);
  Value CallLoop(LoopObject& loop, Arguments& arguments);
  // Whether `item` passes the loop's `if`.
  bool PassesFilter(LoopObject& loop, const Value& item);
  std::shared_ptr<NamespaceObject> MakeNamespace();

  int line() const { return line_; }
  const std::tm& clock() const { return clock_; }

 private:
  enum class Flow { kNormal, kBreak, kContinue };
  class Level;
  class ScopeGuard;

  Value Evaluate(const Expression& node);
  Value EvaluateName(const Expression& node);
  Value EvaluateContainer(const Expression& node);
  Value EvaluateDict(const Expression& node);
  Value EvaluateItem(const Expression& node);
  Value EvaluateCall(const Expression& node, const Value* caller = nullptr);
  Value EvaluateFilter(const Expression& node, const Value* input);
  Value EvaluateTest(const Expression& node);
  Value EvaluateArithmetic(const Expression& node);
  Value EvaluateConcat(const Expression& node);
  Value EvaluateCompare(const Expression& node);
  Value EvaluateLogic(const Expression& node);
  Arguments EvaluateArguments(const CallArguments& call);

  Flow Execute(const Statement& statement);
  Flow ExecuteBody(const Body& body);
  Flow ExecuteIf(const Statement& statement);
  void ExecuteFor(const Statement& statement);
  void RunLoop(const Statement& statement, LoopObject& loop, const std::shared_ptr<LoopObject>& owner);
  void ExecuteOutput(const Statement& statement);
  void ExecuteMacro(const Statement& statement);
  void ExecuteCallBlock(const Statement& statement);
  void ExecuteFilterBlock(const Statement& statement);
  Flow ExecuteWith(const Statement& statement);
  void Write(const Value& value);
  Value Capture(const Body& body);
  void Assign(const Target& target, Value value, Scope& scope);
  void BindParameters(const Statement& macro, std::string_view name, Arguments& arguments);
  Value MakeMacro(const Statement& statement, std::string name);
  [[noreturn]] void FailSteps();

  const SyntaxTree& tree_;
  const RenderLimits& limits_;
  const std::tm& clock_;
  int64_t steps_left_;
  int line_ = 0;
  int level_ = 0;  // nested Evaluate and Execute
  int calls_ = 0;  // nested macro and recursive loop calls
  TextBuilder* out_ = nullptr;
  std::unique_ptr<Scope> root_;
  Scope* scope_;
  std::vector<std::unique_ptr<Scope>> captured_;
  std::vector<std::shared_ptr<NamespaceObject>> namespaces_;
};

}  // namespace hone::chat
