#include "core/formats/tokenizer/text_stream.h"

#include "core/formats/tokenizer/utf8.h"

namespace hone {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

void TakeWholeCharacters(std::string& bytes, std::string& out) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const size_t good = ValidUtf8Prefix(rest);
    out += rest.substr(0, good);
    rest.remove_prefix(good);
    if (rest.empty()) break;
    const Utf8Unit unit = NextUtf8(rest);
    if (unit.kind == Utf8Unit::Kind::kUnfinished) break;
    out += kReplacement;
    rest.remove_prefix(unit.length);
  }
  bytes.erase(0, bytes.size() - rest.size());
}

Decoder::Decoder(const Tokenizer& tokenizer, bool with_control, bool mid_text)
    : tokenizer_(tokenizer),
      with_control_(with_control),
      drop_space_(tokenizer.adds_space_prefix() && !mid_text),
      drop_space_at_start_(drop_space_) {}

std::string Decoder::Push(TokenId token) {
  std::string text;
  const bool in_range = token >= 0 && token < tokenizer_.vocabulary_size();
  if (!in_range || (tokenizer_.IsControl(token) && !with_control_)) return text;
  std::string_view bytes = tokenizer_.TokenBytes(token);
  if (drop_space_ && !bytes.empty()) {
    if (bytes.front() == ' ') bytes.remove_prefix(1);
    drop_space_ = false;
  }
  pending_ += bytes;
  TakeWholeCharacters(pending_, text);
  return text;
}

std::string Decoder::Finish() {
  std::string text(pending_.empty() ? std::string_view{} : kReplacement);
  pending_.clear();
  drop_space_ = drop_space_at_start_;
  return text;
}

std::string Tokenizer::DecodeBytes(std::span<const TokenId> tokens, bool with_control) const {
  std::string bytes;
  bool drop_space = adds_space_prefix();
  for (const TokenId token : tokens) {
    if (token < 0 || token >= vocabulary_size() || (IsControl(token) && !with_control)) continue;
    std::string_view piece = TokenBytes(token);
    if (drop_space && !piece.empty()) {
      if (piece.front() == ' ') piece.remove_prefix(1);
      drop_space = false;
    }
    bytes += piece;
  }
  return bytes;
}

}  // namespace hone
