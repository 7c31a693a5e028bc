// What an evaluator enters and leaves: one more level of recursion, one more scope.
#pragma once

#include <memory>
#include <utility>

#include "core/formats/template/evaluator.h"

namespace hone::chat {

// Nodes that may be open at once for each allowed call: a bound on the machine's own stack.
constexpr int kLevelsPerCall = 8;

class Evaluator::Level {
 public:
  explicit Level(Evaluator& evaluator) : evaluator_(evaluator) {
    if (evaluator_.level_ >= evaluator_.limits_.depth * kLevelsPerCall) {
      Fail("evaluation is nested deeper than {} levels", evaluator_.limits_.depth * kLevelsPerCall);
    }
    ++evaluator_.level_;
  }
  ~Level() { --evaluator_.level_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Evaluator& evaluator_;
};

// A scope below `parent`, current until the guard goes; it outlives the guard where a macro was defined in
// it.
class Evaluator::ScopeGuard {
 public:
  ScopeGuard(Evaluator& evaluator, Scope* parent)
      : evaluator_(evaluator), scope_(std::make_unique<Scope>()), outer_(evaluator.scope_) {
    scope_->parent = parent;
    evaluator_.scope_ = scope_.get();
  }
  ~ScopeGuard() {
    evaluator_.scope_ = outer_;
    if (scope_->captured) evaluator_.captured_.push_back(std::move(scope_));
  }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Evaluator& evaluator_;
  std::unique_ptr<Scope> scope_;
  Scope* outer_;
};

}  // namespace hone::chat
