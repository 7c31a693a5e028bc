#include <charconv>

#include "core/formats/template/failure.h"
#include "core/formats/template/filters.h"
#include "core/formats/template/parser.h"
#include "core/formats/template/value_tests.h"

namespace hone::chat {

ParserDepth::ParserDepth(Parser& parser) : parser_(parser) {
  if (++parser_.depth_ > kMaximumHeight) {
    --parser_.depth_;
    FailAt(parser_.Current().line, "nested deeper than {}", kMaximumHeight);
  }
}

ExpressionPtr Parser::Make(ExpressionKind kind, int line) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = line;
  return node;
}

void Parser::Add(Expression& parent, ExpressionPtr child) {
  if (child) parent.height = std::max(parent.height, child->height + 1);
  if (parent.height > kMaximumHeight)
    FailAt(parent.line, "an expression is nested deeper than {}", kMaximumHeight);
  parent.operands.push_back(std::move(child));
}

ExpressionPtr Parser::Join(ExpressionKind kind, int line, ExpressionPtr first, ExpressionPtr second) const {
  auto node = Make(kind, line);
  Add(*node, std::move(first));
  if (second) Add(*node, std::move(second));
  return node;
}

ExpressionPtr Parser::ParseExpression(bool with_condition) {
  const ParserDepth depth(*this);
  const int line = Current().line;
  const size_t unknown_before = unknown_.size();
  auto value = ParseOr();
  while (with_condition && IsName("if")) {
    // All of a conditional expression is a branch, the value that stands before the `if` included.
    const bool outer = std::exchange(in_branch_, true);
    unknown_.resize(unknown_before);
    Advance();
    auto node = Make(ExpressionKind::kCondition, line);
    Add(*node, std::move(value));
    Add(*node, ParseOr());
    Add(*node, SkipName("else") ? ParseExpression() : nullptr);
    value = std::move(node);
    in_branch_ = outer;
  }
  return value;
}

ExpressionPtr Parser::ParseOr() {
  const int line = Current().line;
  auto left = ParseAnd();
  if (!IsName("or")) return left;
  auto node = Join(ExpressionKind::kOr, line, std::move(left));
  while (SkipName("or")) Add(*node, ParseAnd());
  return node;
}

ExpressionPtr Parser::ParseAnd() {
  const int line = Current().line;
  auto left = ParseNot();
  if (!IsName("and")) return left;
  auto node = Join(ExpressionKind::kAnd, line, std::move(left));
  while (SkipName("and")) Add(*node, ParseNot());
  return node;
}

ExpressionPtr Parser::ParseNot() {
  const int line = Current().line;
  if (!SkipName("not")) return ParseCompare();
  const ParserDepth depth(*this);
  return Join(ExpressionKind::kNot, line, ParseNot());
}

namespace {

bool FindOperator(const Token& token, std::initializer_list<std::pair<std::string_view, Operator>> known,
                  Operator& found) {
  if (token.kind != TokenKind::kOperator) return false;
  for (const auto& [text, op] : known) {
    if (token.text != text) continue;
    found = op;
    return true;
  }
  return false;
}

}  // namespace

ExpressionPtr Parser::ParseCompare() {
  const int line = Current().line;
  auto left = ParseSum();
  ExpressionPtr node;
  while (true) {
    Operator op = Operator::kEqual;
    if (FindOperator(Current(),
                     {{"==", Operator::kEqual},
                      {"!=", Operator::kNotEqual},
                      {"<", Operator::kLess},
                      {"<=", Operator::kLessEqual},
                      {">", Operator::kGreater},
                      {">=", Operator::kGreaterEqual}},
                     op)) {
      Advance();
    } else if (SkipName("in")) {
      op = Operator::kIn;
    } else if (IsName("not") && Next().kind == TokenKind::kName && Next().text == "in") {
      Advance();
      Advance();
      op = Operator::kNotIn;
    } else {
      break;
    }
    if (!node) node = Join(ExpressionKind::kCompare, line, std::move(left));
    node->operators.push_back(op);
    Add(*node, ParseSum());
  }
  return node ? std::move(node) : std::move(left);
}

ExpressionPtr Parser::ParseSum() {
  const int line = Current().line;
  auto left = ParseConcat();
  Operator op = Operator::kAdd;
  while (FindOperator(Current(), {{"+", Operator::kAdd}, {"-", Operator::kSubtract}}, op)) {
    Advance();
    left = Join(ExpressionKind::kArithmetic, line, std::move(left), ParseConcat());
    left->operators.push_back(op);
  }
  return left;
}

ExpressionPtr Parser::ParseConcat() {
  const int line = Current().line;
  auto left = ParseProduct();
  if (!IsOperator("~")) return left;
  auto node = Join(ExpressionKind::kConcat, line, std::move(left));
  while (SkipOperator("~")) Add(*node, ParseProduct());
  return node;
}

ExpressionPtr Parser::ParseProduct() {
  const int line = Current().line;
  auto left = ParsePower();
  Operator op = Operator::kMultiply;
  while (FindOperator(Current(),
                      {{"*", Operator::kMultiply},
                       {"/", Operator::kDivide},
                       {"//", Operator::kFloorDivide},
                       {"%", Operator::kModulo}},
                      op)) {
    Advance();
    left = Join(ExpressionKind::kArithmetic, line, std::move(left), ParsePower());
    left->operators.push_back(op);
  }
  return left;
}

ExpressionPtr Parser::ParsePower() {
  const int line = Current().line;
  auto left = ParseUnary();
  while (SkipOperator("**")) {
    left = Join(ExpressionKind::kArithmetic, line, std::move(left), ParseUnary());
    left->operators.push_back(Operator::kPower);
  }
  return left;
}

ExpressionPtr Parser::ParseUnary(bool with_filter) {
  const ParserDepth depth(*this);
  const int line = Current().line;
  ExpressionPtr node;
  if (SkipOperator("-")) {
    node = Join(ExpressionKind::kNegate, line, ParseUnary(false));
  } else if (SkipOperator("+")) {
    node = Join(ExpressionKind::kPlus, line, ParseUnary(false));
  } else {
    node = ParsePrimary();
  }
  node = ParsePostfix(std::move(node));
  return with_filter ? ParseFilters(std::move(node)) : std::move(node);
}

ExpressionPtr Parser::ParsePrimary() {
  const Token& token = Current();
  auto node = Make(ExpressionKind::kConstant, token.line);
  if (token.kind == TokenKind::kString) {
    std::string text;
    while (Current().kind == TokenKind::kString) text += Advance().text;
    node->constant = Value::String(std::move(text), false);
    return node;
  }
  if (token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) return ParseNumber();
  if (SkipOperator("(")) {
    node = ParseTuple(true, true);
    ExpectOperator(")");
    return node;
  }
  if (IsOperator("[")) return ParseList();
  if (IsOperator("{")) return ParseDict();
  if (token.kind != TokenKind::kName) Unexpected("an expression");
  const std::string name = Advance().text;
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    node->constant = Value::Bool(name[0] == 't' || name[0] == 'T');
  } else if (name == "none" || name == "None") {
    node->constant = Value::None();
  } else {
    node->kind = ExpressionKind::kName;
    node->name = NameId(name);
    use_.varargs |= name == "varargs";
    use_.kwargs |= name == "kwargs";
    use_.caller |= name == "caller";
  }
  return node;
}

ExpressionPtr Parser::ParseNumber() {
  const Token& token = Advance();
  auto node = Make(ExpressionKind::kConstant, token.line);
  if (token.kind == TokenKind::kFloat) {
    double value = 0;
    const auto [end, error] =
        std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    if (error != std::errc()) FailAt(token.line, "number {} is out of range", token.text);
    node->constant = Value::Float(value);
    return node;
  }
  std::string_view digits = token.text;
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0') {
    const char prefix = static_cast<char>(digits[1] | 0x20);
    base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10) digits.remove_prefix(2);
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc()) FailAt(token.line, "integer {} does not fit 64 bits", token.text);
  node->constant = Value::Integer(value);
  return node;
}

bool Parser::IsTupleEnd(std::string_view end_name) const {
  const Token& token = Current();
  if (token.kind == TokenKind::kVariableEnd || token.kind == TokenKind::kBlockEnd || IsOperator(")"))
    return true;
  return !end_name.empty() && IsName(end_name);
}

ExpressionPtr Parser::ParseTuple(bool with_condition, bool parentheses, std::string_view end_name) {
  const int line = Current().line;
  auto tuple = Make(ExpressionKind::kTuple, line);
  bool is_tuple = false;
  while (true) {
    if (!tuple->operands.empty()) ExpectOperator(",");
    if (IsTupleEnd(end_name)) break;
    Add(*tuple, ParseExpression(with_condition));
    if (!IsOperator(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return tuple;
  if (!tuple->operands.empty()) return std::move(tuple->operands[0]);
  if (!parentheses) Unexpected("an expression");
  return tuple;
}

ExpressionPtr Parser::ParseList() {
  auto list = Make(ExpressionKind::kList, Current().line);
  ExpectOperator("[");
  while (!IsOperator("]")) {
    if (!list->operands.empty()) ExpectOperator(",");
    if (IsOperator("]")) break;
    Add(*list, ParseExpression());
  }
  ExpectOperator("]");
  return list;
}

ExpressionPtr Parser::ParseDict() {
  auto dict = Make(ExpressionKind::kDict, Current().line);
  ExpectOperator("{");
  while (!IsOperator("}")) {
    if (!dict->operands.empty()) ExpectOperator(",");
    if (IsOperator("}")) break;
    Add(*dict, ParseExpression());
    ExpectOperator(":");
    Add(*dict, ParseExpression());
  }
  ExpectOperator("}");
  return dict;
}

ExpressionPtr Parser::ParsePostfix(ExpressionPtr node) {
  while (true) {
    if (IsOperator(".") || IsOperator("[")) {
      node = ParseSubscript(std::move(node));
    } else if (IsOperator("(")) {
      node = ParseCall(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::ParseFilters(ExpressionPtr node) {
  while (true) {
    if (SkipOperator("|")) {
      node = ParseFilter(std::move(node));
    } else if (IsName("is")) {
      node = ParseTest(std::move(node));
    } else if (IsOperator("(")) {
      node = ParseCall(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::ParseFilter(ExpressionPtr node) {
  auto filter = Make(ExpressionKind::kFilter, Current().line);
  filter->text = ExpectName();
  while (SkipOperator(".")) {
    filter->text += '.';
    filter->text += ExpectName();
  }
  Add(*filter, std::move(node));
  if (IsOperator("(")) filter->call = ParseCallArguments();
  filter->filter = FindFilter(filter->text);
  if (!filter->filter && !in_branch_)
    unknown_.push_back({fmt::format("unknown filter '{}'", filter->text), filter->line});
  return filter;
}

ExpressionPtr Parser::ParseTest(ExpressionPtr node) {
  const int line = Current().line;
  Advance();
  const bool negated = SkipName("not");
  auto test = Make(ExpressionKind::kTest, line);
  test->text = ExpectName();
  while (SkipOperator(".")) {
    test->text += '.';
    test->text += ExpectName();
  }
  Add(*test, std::move(node));
  const TokenKind kind = Current().kind;
  const bool starts_value = kind == TokenKind::kName || kind == TokenKind::kString ||
                            kind == TokenKind::kInteger || kind == TokenKind::kFloat || IsOperator("[") ||
                            IsOperator("{");
  if (IsOperator("(")) {
    test->call = ParseCallArguments();
  } else if (starts_value && !IsName("else") && !IsName("or") && !IsName("and")) {
    if (IsName("is")) FailAt(line, "tests cannot be chained with 'is'");
    const ParserDepth depth(*this);
    auto argument = ParsePostfix(ParsePrimary());
    test->height = std::max(test->height, argument->height + 1);
    test->call.positional.push_back(std::move(argument));
  }
  test->test = FindTest(test->text);
  if (!test->test && !in_branch_) unknown_.push_back({fmt::format("unknown test '{}'", test->text), line});
  return negated ? Join(ExpressionKind::kNot, line, std::move(test)) : std::move(test);
}

ExpressionPtr Parser::ParseSubscript(ExpressionPtr node) {
  const int line = Current().line;
  if (SkipOperator(".")) {
    if (Current().kind == TokenKind::kName) {
      auto attribute = Join(ExpressionKind::kGetAttribute, line, std::move(node));
      attribute->text = Advance().text;
      return attribute;
    }
    if (Current().kind != TokenKind::kInteger) Unexpected("a name or a number after '.'");
    return Join(ExpressionKind::kGetItem, line, std::move(node), ParseNumber());
  }
  ExpectOperator("[");
  auto keys = Make(ExpressionKind::kTuple, line);
  while (!IsOperator("]")) {
    if (!keys->operands.empty()) ExpectOperator(",");
    Add(*keys, ParseSubscribed());
  }
  ExpectOperator("]");
  auto key = keys->operands.size() == 1 ? std::move(keys->operands[0]) : std::move(keys);
  return Join(ExpressionKind::kGetItem, line, std::move(node), std::move(key));
}

ExpressionPtr Parser::ParseSubscribed() {
  const int line = Current().line;
  ExpressionPtr start;
  if (!IsOperator(":")) {
    start = ParseExpression();
    if (!IsOperator(":")) return start;
  }
  Advance();
  const auto absent = [&] { return IsOperator("]") || IsOperator(","); };
  auto slice = Make(ExpressionKind::kSlice, line);
  Add(*slice, std::move(start));
  Add(*slice, IsOperator(":") || absent() ? nullptr : ParseExpression());
  Add(*slice, SkipOperator(":") && !absent() ? ParseExpression() : nullptr);
  return slice;
}

ExpressionPtr Parser::ParseCall(ExpressionPtr node) {
  auto call = Join(ExpressionKind::kCall, Current().line, std::move(node));
  call->call = ParseCallArguments();
  return call;
}

CallArguments Parser::ParseCallArguments() {
  const ParserDepth depth(*this);
  const int line = Current().line;
  ExpectOperator("(");
  CallArguments arguments;
  bool first = true;
  const auto ensure = [&](bool ok) {
    if (!ok) FailAt(line, "wrong order of arguments in a call");
  };
  while (!IsOperator(")")) {
    if (!first) ExpectOperator(",");
    if (!first && IsOperator(")")) break;
    first = false;
    if (SkipOperator("*")) {
      ensure(!arguments.star && !arguments.star_star);
      arguments.star = ParseExpression();
    } else if (SkipOperator("**")) {
      ensure(!arguments.star_star);
      arguments.star_star = ParseExpression();
    } else if (Current().kind == TokenKind::kName && IsOperator(Next(), "=")) {
      ensure(!arguments.star_star);
      std::string name = Advance().text;
      Advance();
      arguments.named.emplace_back(std::move(name), ParseExpression());
    } else {
      ensure(!arguments.star && !arguments.star_star && arguments.named.empty());
      arguments.positional.push_back(ParseExpression());
    }
  }
  ExpectOperator(")");
  return arguments;
}

}  // namespace hone::chat
