// What tests of constraints share: reading a text through a grammar, and small vocabularies.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"
#include "language/decoding/constraints/compile.h"
#include "language/decoding/constraints/grammar_processor.h"
#include "language/decoding/constraints/recognizer.h"

namespace hone::testing {

// What a compiled constraint makes of texts.
class Reader {
 public:
  explicit Reader(const Result<Constraint>& constraint) {
    EXPECT_TRUE(constraint) << (constraint ? "" : constraint.error().message);
    if (constraint) recognizer_ = std::make_unique<Recognizer>(constraint->grammar, TokenTable::kHorizon);
  }
  Recognizer::State Read(std::string_view text) const {
    if (!recognizer_) return Recognizer::kDead;
    Recognizer::State state = recognizer_->start();
    for (const char byte : text) state = recognizer_->Step(state, static_cast<uint8_t>(byte));
    return state;
  }
  bool Accepts(std::string_view text) const {
    const Recognizer::State state = Read(text);
    return state != Recognizer::kDead && recognizer_->Accepts(state);
  }
  bool MayBegin(std::string_view text) const { return Read(text) != Recognizer::kDead; }
  Recognizer& recognizer() const { return *recognizer_; }

 private:
  std::unique_ptr<Recognizer> recognizer_;
};

// A vocabulary made of the given texts, then control tokens.
class ListTokenizer : public Tokenizer {
 public:
  ListTokenizer(std::vector<std::string> texts, std::vector<std::string> controls)
      : texts_(std::move(texts)), first_control_(static_cast<TokenId>(texts_.size())) {
    texts_.insert(texts_.end(), controls.begin(), controls.end());
    special_.ends = {first_control_};
  }
  int64_t vocabulary_size() const override { return static_cast<int64_t>(texts_.size()); }
  const SpecialTokens& special() const override { return special_; }
  Encoding Encode(std::string_view text, std::span<const ByteSpan>) const override {
    Encoding encoding;  // the longest token first
    while (!text.empty()) {
      TokenId best = kNoToken;
      size_t length = 0;
      for (TokenId id = 0; id < first_control_; ++id) {
        const std::string& token = texts_[static_cast<size_t>(id)];
        if (token.size() > length && text.starts_with(token)) {
          best = id;
          length = token.size();
        }
      }
      if (best == kNoToken) break;
      encoding.tokens.push_back(best);
      text.remove_prefix(length);
    }
    return encoding;
  }
  std::string_view TokenBytes(TokenId id) const override { return texts_[static_cast<size_t>(id)]; }
  bool IsControl(TokenId id) const override { return id >= first_control_; }
  std::string Decode(std::span<const TokenId> tokens, bool) const override {
    std::string text;
    for (const TokenId id : tokens) {
      if (!IsControl(id)) text += TokenBytes(id);
    }
    return text;
  }
  std::string_view chat_template(std::string_view) const override { return {}; }

 private:
  std::vector<std::string> texts_;
  TokenId first_control_;
  SpecialTokens special_;
};

// All bytes, and `more`; the control tokens are "<end>" (which ends an answer) and "<other>".
inline std::shared_ptr<const Tokenizer> ByteVocabulary(const std::vector<std::string>& more = {}) {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  texts.insert(texts.end(), more.begin(), more.end());
  return std::make_shared<ListTokenizer>(std::move(texts), std::vector<std::string>{"<end>", "<other>"});
}

}  // namespace hone::testing
