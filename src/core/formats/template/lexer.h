// Source text to tokens, as jinja2 3.1 cuts it with trim_blocks and lstrip_blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hone::chat {

enum class TokenKind {
  kData,
  kBlockBegin,
  kBlockEnd,
  kVariableBegin,
  kVariableEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // data, name, decoded string, digits without underscores, operator
  int line = 1;
};

// Fails with the line of what cannot be read. The last token is kEnd.
std::vector<Token> Tokenize(std::string_view source);

}  // namespace hone::chat
