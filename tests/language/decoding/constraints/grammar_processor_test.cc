#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "constraint_fixture.h"

namespace hone {
namespace {

using testing::ByteVocabulary;
using testing::Reader;

constexpr TokenId kEnd = 256;  // behind the bytes, where there are no words

std::shared_ptr<const Tokenizer> Words() {
  return ByteVocabulary({"{\"", "\":", "\": ", "ab", "abc", "\"}", "\", \"", "xy\"", "\n  ", "true", "12",
                         "é", "ééé", "aaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaa\"}",
                         "{\"a\":\"b"});
}

// The allowed tokens after `answer`.
std::vector<bool> Mask(GrammarProcessor& processor, const TokenTable& table, std::vector<TokenId> answer) {
  std::vector<float> logits(static_cast<size_t>(table.size()) + 3,
                            1.0f);  // a model may have more than its words
  TokenScores scores;
  scores.Reset(logits);
  processor.Apply({answer, 0}, scores);
  std::vector<bool> allowed;
  for (const float logit : logits) allowed.push_back(!std::isinf(logit));
  return allowed;
}

// What the grammar says byte by byte: the oracle of every mask.
std::vector<bool> Oracle(const Constraint& constraint, const Tokenizer& tokenizer, const std::string& text) {
  const Reader reader(constraint);
  std::vector<bool> allowed;
  for (TokenId id = 0; id < tokenizer.vocabulary_size(); ++id) {
    const std::string_view bytes = tokenizer.TokenBytes(id);
    const bool is_end = id == tokenizer.special().ends[0];
    allowed.push_back(is_end ? reader.Accepts(text)
                             : !tokenizer.IsControl(id) && reader.MayBegin(text + std::string(bytes)));
  }
  allowed.resize(allowed.size() + 3, false);
  return allowed;
}

struct Fixture {
  explicit Fixture(const Result<Constraint>& compiled, std::shared_ptr<const Tokenizer> words = Words())
      : tokenizer(std::move(words)), table(std::make_shared<TokenTable>(tokenizer)), constraint(*compiled) {
    masks = std::make_shared<TokenMasks>(constraint, table, tokenizer->special().ends);
  }
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const TokenTable> table;
  Constraint constraint;
  std::shared_ptr<TokenMasks> masks;
};

TEST(GrammarProcessor, AllowsEndTokensExactlyWhereTheGrammarMayEnd) {
  Fixture f(CompileRegex("ab?"), ByteVocabulary());
  GrammarProcessor processor(f.masks);
  EXPECT_FALSE(Mask(processor, *f.table, {})[kEnd]);
  EXPECT_TRUE(Mask(processor, *f.table, {'a'})[kEnd]);
  EXPECT_TRUE(Mask(processor, *f.table, {'a'})['b']);
  const std::vector<bool> done = Mask(processor, *f.table, {'a', 'b'});
  EXPECT_EQ(std::count(done.begin(), done.end(), true), 1);
  EXPECT_TRUE(done[kEnd]);
  EXPECT_EQ(Mask(processor, *f.table, {'a', 'b', kEnd}), done);
}

TEST(GrammarProcessor, NeverAllowsControlTokens) {
  Fixture f(CompileRegex(".*"));
  GrammarProcessor processor(f.masks);
  const std::vector<bool> mask = Mask(processor, *f.table, {});
  for (TokenId id = 0; id < f.table->size(); ++id) {
    if (!f.tokenizer->IsControl(id) || id == f.tokenizer->special().ends[0]) continue;
    EXPECT_FALSE(mask[static_cast<size_t>(id)]);
  }
  EXPECT_FALSE(mask.back());
}

TEST(GrammarProcessor, AnswersForAnyRowAndRollsBack) {
  Fixture f(
      CompileJsonSchema(R"({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})"));
  GrammarProcessor processor(f.masks);
  const std::vector<TokenId> answer = f.tokenizer->EncodeText(R"({"a": "xyz"})").tokens;
  std::vector<std::vector<bool>> forward;
  for (size_t n = 0; n <= answer.size(); ++n) {
    forward.push_back(Mask(processor, *f.table, {answer.begin(), answer.begin() + static_cast<long>(n)}));
  }
  for (size_t n = answer.size() + 1; n-- > 0;) {  // truncations
    std::vector<TokenId> prefix(answer.begin(), answer.begin() + static_cast<long>(n));
    EXPECT_EQ(Mask(processor, *f.table, prefix), forward[n]);
    if (n < 3) continue;
    std::vector<TokenId> branch(answer.begin(), answer.begin() + 2);  // another branch of a draft tree
    branch.push_back('q');
    Mask(processor, *f.table, branch);
    EXPECT_EQ(Mask(processor, *f.table, prefix), forward[n]);
  }
}

TEST(GrammarProcessor, LeavesRowsBehindAWrongDraftTokenAsTheyAre) {
  Fixture f(CompileRegex("ab"), ByteVocabulary());
  GrammarProcessor processor(f.masks);
  const std::vector<bool> mask = Mask(processor, *f.table, {'x', 'y'});
  EXPECT_EQ(std::count(mask.begin(), mask.end(), true), static_cast<long>(mask.size()));
}

TEST(GrammarProcessor, ReportsForcedBytes) {
  Fixture f(CompileJsonSchema(R"({"type": "object", "properties": {"name": {"enum": ["alpha", "alps"]}},
    "required": ["name"], "additionalProperties": false})"));
  GrammarProcessor processor(f.masks);
  EXPECT_EQ(processor.Forced({{}, 0}), "{");
  const std::vector<TokenId> answer = {'{', '"', 'n', 'a'};
  EXPECT_EQ(processor.Forced({answer, 0}), "me\":");
  const std::vector<TokenId> deeper = f.tokenizer->EncodeText(R"({"name": ")").tokens;
  EXPECT_EQ(processor.Forced({deeper, 0}), "alp");
}

TEST(GrammarProcessor, MasksAgreeWithTheGrammarByteByByte) {
  const std::vector<Result<Constraint>> constraints = {
      CompileJsonSchema(R"({"type": "object", "properties": {"a": {"type": "string", "maxLength": 30}}})"),
      CompileJsonSchema(R"({"type": "object", "properties": {"a": {"type": "string", "minLength": 20}}})"),
      CompileJsonSchema(R"({"type": "string", "maxLength": 9})"),
      CompileJsonSchema(
          R"({"type": "array", "items": {"type": "string", "pattern": "^a+b?"}, "maxItems": 3})"),
      CompileRegex("a{3,20}(\"}|b)"),
      CompileRegex("([a-z]{0,5}|a{0,30})\"?"),
      CompileRegex("[a-zé]{0,12}x"),
      CompileGbnf("root ::= \"{\" word (\",\" word)* \"}\"\nword ::= [^{},]{1,20}"),
      CompileRegex("([a-z0-9]{0,9}){0,3}\"")};
  for (const auto& constraint : constraints) {
    ASSERT_TRUE(constraint);
    Fixture f(constraint);
    GrammarProcessor processor(f.masks);
    uint64_t random = 7;
    for (int walk = 0; walk < 4; ++walk) {
      std::vector<TokenId> answer;
      std::string text;
      for (int step = 0; step < 25; ++step) {
        const std::vector<bool> mask = Mask(processor, *f.table, answer);
        ASSERT_EQ(mask, Oracle(f.constraint, *f.tokenizer, text)) << "after \"" << text << "\"";
        std::vector<TokenId> allowed;
        for (size_t id = 0; id < mask.size(); ++id) {
          // Longer tokens more often.
          if (mask[id]) allowed.insert(allowed.end(), id >= 256 ? 8 : 1, static_cast<TokenId>(id));
        }
        ASSERT_FALSE(allowed.empty());
        random = random * 6364136223846793005u + 1442695040888963407u;
        const TokenId next = allowed[(random >> 33) % allowed.size()];
        if (next == f.tokenizer->special().ends[0]) break;
        answer.push_back(next);
        text += f.tokenizer->TokenBytes(next);
      }
    }
  }
}

TEST(GrammarProcessor, FoldsCountersThatAreFarFromTheirBounds) {
  Fixture f(CompileJsonSchema(R"({"type": "string", "maxLength": 100000})"));
  GrammarProcessor processor(f.masks);
  std::vector<TokenId> answer = {'"'};
  for (int i = 0; i < 2000; ++i) {
    Mask(processor, *f.table, answer);
    answer.push_back('a' + i % 26);
  }
  EXPECT_LE(f.masks->counts().built, 3);
}

TEST(GrammarProcessor, StaysFreeUntilATriggerComes) {
  auto compiled = CompileRegex("\\{[0-9]+\\}");
  ASSERT_TRUE(compiled);
  compiled->triggers = {{"<call>", false}};
  Fixture f(compiled, ByteVocabulary({"<call>", "all>{1", "all>x", "ll"}));
  GrammarProcessor processor(f.masks);
  const TokenId call = 256, good = 257, bad = 258, end = f.tokenizer->special().ends[0];
  std::vector<bool> mask = Mask(processor, *f.table, {'h', 'i'});
  EXPECT_TRUE(mask['\n'] && mask[static_cast<size_t>(end)] && mask[call]);
  mask = Mask(processor, *f.table, {'h', '<', 'c'});
  EXPECT_TRUE(mask[static_cast<size_t>(good)]);
  EXPECT_FALSE(mask[static_cast<size_t>(bad)]);
  mask = Mask(processor, *f.table, {'h', call});
  EXPECT_TRUE(mask['{']);
  EXPECT_EQ(std::count(mask.begin(), mask.end(), true), 1);
  mask = Mask(processor, *f.table, {'<', 'c', good, '}'});
  EXPECT_EQ(std::count(mask.begin(), mask.end(), true), 1);
  EXPECT_TRUE(mask[static_cast<size_t>(end)]);
}

}  // namespace
}  // namespace hone
