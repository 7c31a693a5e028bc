#include <utility>

#include "core/formats/template/failure.h"
#include "core/formats/template/parser.h"

namespace hone::chat {

Parser::Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
  for (const char* name : {"loop", "caller", "varargs", "kwargs"}) NameId(name);  // in the order of their ids
}

const Token& Parser::Advance() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::SkipOperator(std::string_view text) {
  if (!IsOperator(text)) return false;
  Advance();
  return true;
}

bool Parser::SkipName(std::string_view text) {
  if (!IsName(text)) return false;
  Advance();
  return true;
}

void Parser::Unexpected(std::string_view expected) const {
  const Token& token = Current();
  switch (token.kind) {
    case TokenKind::kEnd:
      FailAt(token.line, "unexpected end of template, expected {}", expected);
    case TokenKind::kBlockEnd:
      FailAt(token.line, "unexpected '%}}', expected {}", expected);
    case TokenKind::kVariableEnd:
      FailAt(token.line, "unexpected '}}}}', expected {}", expected);
    default:
      FailAt(token.line, "unexpected '{}', expected {}", token.text, expected);
  }
}

void Parser::ExpectOperator(std::string_view text) {
  if (!SkipOperator(text)) Unexpected(fmt::format("'{}'", text));
}

std::string Parser::ExpectName() {
  if (Current().kind != TokenKind::kName) Unexpected("a name");
  return Advance().text;
}

void Parser::ExpectBlockEnd() {
  if (Current().kind != TokenKind::kBlockEnd) Unexpected("the end of the tag");
  Advance();
}

int Parser::NameId(const std::string& name) {
  const auto [it, added] = ids_.emplace(name, static_cast<int>(names_.size()));
  if (added) names_.push_back(name);
  return it->second;
}

std::unique_ptr<Statement> Parser::Make(StatementKind kind) {
  auto statement = std::make_unique<Statement>();
  statement->kind = kind;
  statement->line = Current().line;
  return statement;
}

SyntaxTree Parser::ParseTemplate() {
  SyntaxTree tree;
  tree.body = ParseBody({});
  if (!unknown_.empty()) throw unknown_.front();
  tree.names = std::move(names_);
  return tree;
}

// Statements up to a block whose name is one of `ends`; the current token is then that name.
Body Parser::ParseBody(std::initializer_list<std::string_view> ends) {
  const ParserDepth depth(*this);
  Body body;
  while (true) {
    const Token& token = Current();
    if (token.kind == TokenKind::kEnd) {
      if (ends.size() == 0) return body;
      FailAt(token.line, "unexpected end of template, expected '{}'", *(ends.end() - 1));
    }
    if (token.kind == TokenKind::kData) {
      auto data = Make(StatementKind::kData);
      data->data = Value::String(Advance().text, false);
      body.push_back(std::move(data));
    } else if (token.kind == TokenKind::kVariableBegin) {
      Advance();
      auto output = Make(StatementKind::kOutput);
      output->expressions.push_back(ParseTuple(true, false));
      if (Current().kind != TokenKind::kVariableEnd) Unexpected("'}}'");
      Advance();
      body.push_back(std::move(output));
    } else {
      Advance();
      for (std::string_view end : ends) {
        if (IsName(end)) return body;
      }
      body.push_back(ParseStatement());
      ExpectBlockEnd();
    }
  }
}

std::unique_ptr<Statement> Parser::ParseStatement() {
  if (Current().kind != TokenKind::kName) Unexpected("a tag name");
  const std::string tag = Current().text;
  const int line = Current().line;
  if (tag == "for") return ParseFor();
  if (tag == "if") return ParseIf();
  if (tag == "set") return ParseSet();
  if (tag == "macro") return ParseMacro();
  if (tag == "call") return ParseCallBlock();
  if (tag == "filter") return ParseFilterBlock();
  if (tag == "with") return ParseWith();
  if (tag == "print") return ParsePrint();
  if (tag == "autoescape") return ParseAutoescape();
  if (tag == "generation") return ParseScope("endgeneration");
  if (tag == "block") return ParseBlock();
  if (tag == "break" || tag == "continue") {
    if (loops_ == 0) FailAt(line, "'{}' outside a loop", tag);
    auto statement = Make(tag == "break" ? StatementKind::kBreak : StatementKind::kContinue);
    Advance();
    return statement;
  }
  if (tag == "include" || tag == "import" || tag == "from" || tag == "extends") {
    FailAt(line, "'{}' is not supported: a chat template stands alone", tag);
  }
  FailAt(line, "unknown tag '{}'", tag);
}

std::unique_ptr<Statement> Parser::ParseFor() {
  auto loop = Make(StatementKind::kFor);
  Advance();
  loop->target = ParseTarget(false, "in");
  if (!SkipName("in")) Unexpected("'in'");
  const bool outer_branch = std::exchange(in_branch_, false);
  loop->expressions.push_back(ParseTuple(false, false, "recursive"));
  loop->expressions.push_back(SkipName("if") ? ParseExpression() : nullptr);
  loop->recursive = SkipName("recursive");
  ExpectBlockEnd();
  ++loops_;
  loop->bodies.push_back(ParseBody({"else", "endfor"}));
  --loops_;
  loop->bodies.emplace_back();
  if (Advance().text == "else") {
    ExpectBlockEnd();
    loop->bodies[1] = ParseBody({"endfor"});
    Advance();
  }
  in_branch_ = outer_branch;
  return loop;
}

std::unique_ptr<Statement> Parser::ParseIf() {
  auto branches = Make(StatementKind::kIf);
  const bool outer_branch = std::exchange(in_branch_, true);
  while (true) {
    Advance();
    branches->expressions.push_back(ParseTuple(false, false));
    ExpectBlockEnd();
    branches->bodies.push_back(ParseBody({"elif", "else", "endif"}));
    if (!IsName("elif")) break;
  }
  if (Advance().text == "else") {
    ExpectBlockEnd();
    branches->bodies.push_back(ParseBody({"endif"}));
    branches->has_else = true;
    Advance();
  }
  in_branch_ = outer_branch;
  return branches;
}

Target Parser::ParseOneTarget(bool with_namespace) {
  const ParserDepth depth(*this);
  Target target;
  if (SkipOperator("(") || IsOperator("[")) {
    if (IsOperator("[")) Unexpected("a name");
    target = ParseTarget(with_namespace);
    ExpectOperator(")");
    return target;
  }
  const int line = Current().line;
  const std::string name = ExpectName();
  for (std::string_view reserved : {"true", "True", "false", "False", "none", "None"}) {
    if (name == reserved) FailAt(line, "cannot assign to '{}'", name);
  }
  target.name = NameId(name);
  if (with_namespace && SkipOperator(".")) {
    target.kind = Target::Kind::kAttribute;
    target.attribute = ExpectName();
  }
  return target;
}

Target Parser::ParseTarget(bool with_namespace, std::string_view end_name) {
  Target first = ParseOneTarget(with_namespace);
  if (!IsOperator(",")) return first;
  Target tuple;
  tuple.kind = Target::Kind::kTuple;
  tuple.parts.push_back(std::move(first));
  while (SkipOperator(",")) {
    if (IsTupleEnd(end_name) || IsOperator("=")) break;
    tuple.parts.push_back(ParseOneTarget(with_namespace));
  }
  return tuple;
}

std::unique_ptr<Statement> Parser::ParseSet() {
  auto set = Make(StatementKind::kSet);
  Advance();
  set->target = ParseTarget(true);
  if (SkipOperator("=")) {
    set->expressions.push_back(ParseTuple(true, false));
    return set;
  }
  set->kind = StatementKind::kSetBlock;
  ExpressionPtr filters;
  while (SkipOperator("|")) filters = ParseFilter(std::move(filters));
  ExpectBlockEnd();
  set->expressions.push_back(std::move(filters));
  set->bodies.push_back(ParseBody({"endset"}));
  Advance();
  return set;
}

Signature Parser::ParseSignature() {
  Signature signature;
  ExpectOperator("(");
  while (!IsOperator(")")) {
    if (!signature.parameters.empty()) ExpectOperator(",");
    const int line = Current().line;
    signature.parameters.push_back(NameId(ExpectName()));
    if (SkipOperator("=")) {
      signature.defaults.push_back(ParseExpression());
    } else if (!signature.defaults.empty()) {
      FailAt(line, "a parameter without a default follows one with a default");
    }
  }
  ExpectOperator(")");
  return signature;
}

// The body of a macro or call block, and which of varargs, kwargs and caller it names.
void Parser::ParseMacroBody(Statement& statement, std::string_view end) {
  const MacroUse outer = std::exchange(use_, MacroUse());
  const bool outer_branch = std::exchange(in_branch_, false);
  const int outer_loops = std::exchange(loops_, 0);
  ExpectBlockEnd();
  statement.bodies.push_back(ParseBody({end}));
  Advance();
  statement.uses_varargs = use_.varargs;
  statement.uses_kwargs = use_.kwargs;
  statement.uses_caller = use_.caller;
  use_ = {outer.varargs || use_.varargs, outer.kwargs || use_.kwargs, outer.caller || use_.caller};
  in_branch_ = outer_branch;
  loops_ = outer_loops;
}

std::unique_ptr<Statement> Parser::ParseMacro() {
  auto macro = Make(StatementKind::kMacro);
  Advance();
  macro->name = ParseOneTarget(false).name;
  macro->signature = ParseSignature();
  ParseMacroBody(*macro, "endmacro");
  return macro;
}

std::unique_ptr<Statement> Parser::ParseCallBlock() {
  auto block = Make(StatementKind::kCallBlock);
  Advance();
  if (IsOperator("(")) block->signature = ParseSignature();
  auto call = ParseExpression();
  if (call->kind != ExpressionKind::kCall) FailAt(block->line, "a call block needs a call");
  block->expressions.push_back(std::move(call));
  ParseMacroBody(*block, "endcall");
  return block;
}

std::unique_ptr<Statement> Parser::ParseFilterBlock() {
  auto block = Make(StatementKind::kFilterBlock);
  Advance();
  auto filter = ParseFilter(nullptr);
  while (SkipOperator("|")) filter = ParseFilter(std::move(filter));
  block->expressions.push_back(std::move(filter));
  ExpectBlockEnd();
  block->bodies.push_back(ParseBody({"endfilter"}));
  Advance();
  return block;
}

std::unique_ptr<Statement> Parser::ParseWith() {
  auto with = Make(StatementKind::kWith);
  Advance();
  while (Current().kind != TokenKind::kBlockEnd) {
    if (!with->targets.empty()) ExpectOperator(",");
    with->targets.push_back(ParseOneTarget(false));
    ExpectOperator("=");
    with->expressions.push_back(ParseExpression());
  }
  ExpectBlockEnd();
  with->bodies.push_back(ParseBody({"endwith"}));
  Advance();
  return with;
}

std::unique_ptr<Statement> Parser::ParseScope(std::string_view end) {
  auto scope = Make(StatementKind::kScope);
  Advance();
  ExpectBlockEnd();
  const bool outer_branch = std::exchange(in_branch_, false);
  scope->bodies.push_back(ParseBody({end}));
  in_branch_ = outer_branch;
  Advance();
  return scope;
}

// A template that no other extends renders its blocks in place.
std::unique_ptr<Statement> Parser::ParseBlock() {
  if (loops_ > 0) FailAt(Current().line, "'block' in a loop is not supported");
  Advance();
  auto block = ParseScope("endblock");
  if (Current().kind == TokenKind::kName) Advance();
  return block;
}

std::unique_ptr<Statement> Parser::ParseAutoescape() {
  const int line = Current().line;
  Advance();
  if (!IsName("false") && !IsName("False"))
    FailAt(line, "'autoescape' with anything but false is not supported");
  return ParseScope("endautoescape");
}

std::unique_ptr<Statement> Parser::ParsePrint() {
  auto print = Make(StatementKind::kOutput);
  Advance();
  while (Current().kind != TokenKind::kBlockEnd) {
    if (!print->expressions.empty()) ExpectOperator(",");
    print->expressions.push_back(ParseExpression());
  }
  return print;
}

}  // namespace hone::chat
