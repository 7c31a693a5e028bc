// Tokens to a syntax tree: jinja2 3.1's grammar with loop controls and `generation` blocks.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/formats/template/ast.h"
#include "core/formats/template/failure.h"
#include "core/formats/template/lexer.h"

namespace hone::chat {

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens);
  SyntaxTree ParseTemplate();

 private:
  // A place that refers to `varargs`, `kwargs` or `caller`, told to the macros around it.
  struct MacroUse {
    bool varargs = false, kwargs = false, caller = false;
  };

  const Token& Current() const { return tokens_[at_]; }
  const Token& Next(size_t ahead = 1) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& Advance();
  bool IsOperator(std::string_view text) const { return IsOperator(Current(), text); }
  static bool IsOperator(const Token& token, std::string_view text) {
    return token.kind == TokenKind::kOperator && token.text == text;
  }
  bool IsName(std::string_view text) const {
    return Current().kind == TokenKind::kName && Current().text == text;
  }
  bool SkipOperator(std::string_view text);
  bool SkipName(std::string_view text);
  void ExpectOperator(std::string_view text);
  std::string ExpectName();
  [[noreturn]] void Unexpected(std::string_view expected) const;
  int NameId(const std::string& name);

  // parser_statement.cc
  Body ParseBody(std::initializer_list<std::string_view> ends);
  std::unique_ptr<Statement> ParseStatement();
  std::unique_ptr<Statement> ParseFor();
  std::unique_ptr<Statement> ParseIf();
  std::unique_ptr<Statement> ParseSet();
  std::unique_ptr<Statement> ParseMacro();
  std::unique_ptr<Statement> ParseCallBlock();
  std::unique_ptr<Statement> ParseFilterBlock();
  std::unique_ptr<Statement> ParseWith();
  std::unique_ptr<Statement> ParseAutoescape();
  std::unique_ptr<Statement> ParsePrint();
  std::unique_ptr<Statement> ParseBlock();
  std::unique_ptr<Statement> ParseScope(std::string_view end);
  std::unique_ptr<Statement> Make(StatementKind kind);
  Signature ParseSignature();
  void ParseMacroBody(Statement& statement, std::string_view end);
  Target ParseTarget(bool with_namespace, std::string_view end_name = "");
  Target ParseOneTarget(bool with_namespace);
  void ExpectBlockEnd();

  // parser_expression.cc
  ExpressionPtr ParseExpression(bool with_condition = true);
  ExpressionPtr ParseOr();
  ExpressionPtr ParseAnd();
  ExpressionPtr ParseNot();
  ExpressionPtr ParseCompare();
  ExpressionPtr ParseSum();
  ExpressionPtr ParseConcat();
  ExpressionPtr ParseProduct();
  ExpressionPtr ParsePower();
  ExpressionPtr ParseUnary(bool with_filter = true);
  ExpressionPtr ParsePrimary();
  ExpressionPtr ParseNumber();
  ExpressionPtr ParseTuple(bool with_condition, bool parentheses, std::string_view end_name = "");
  ExpressionPtr ParseList();
  ExpressionPtr ParseDict();
  ExpressionPtr ParsePostfix(ExpressionPtr node);
  ExpressionPtr ParseFilters(ExpressionPtr node);
  ExpressionPtr ParseFilter(ExpressionPtr node);
  ExpressionPtr ParseTest(ExpressionPtr node);
  ExpressionPtr ParseSubscript(ExpressionPtr node);
  ExpressionPtr ParseSubscribed();
  ExpressionPtr ParseCall(ExpressionPtr node);
  CallArguments ParseCallArguments();
  bool IsTupleEnd(std::string_view end_name) const;
  ExpressionPtr Make(ExpressionKind kind, int line) const;
  ExpressionPtr Join(ExpressionKind kind, int line, ExpressionPtr first,
                     ExpressionPtr second = nullptr) const;
  static void Add(Expression& parent, ExpressionPtr child);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;  // around the current statement, for break and continue
  // Inside a branch jinja2 reports an unknown filter or test only when it is evaluated.
  bool in_branch_ = false;
  std::vector<TemplateFailure> unknown_;  // unknown filters and tests outside branches
  MacroUse use_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, int> ids_;

  friend class ParserDepth;
};

// Counts how deep the parser has gone, and refuses what is too deep.
class ParserDepth {
 public:
  explicit ParserDepth(Parser& parser);
  ~ParserDepth() { --parser_.depth_; }
  ParserDepth(const ParserDepth&) = delete;
  ParserDepth& operator=(const ParserDepth&) = delete;

 private:
  Parser& parser_;
};

}  // namespace hone::chat
