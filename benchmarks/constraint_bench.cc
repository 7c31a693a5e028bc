// What a grammar costs a decode step: the time from logits to masked logits, over answers that a model might
// write, with the real vocabulary of each model file. "First" is the first answer under a schema (nothing
// remembered), "again" the same one once more. Set the figures beside the decode step of the same model
// (hone bench MODEL).
//   bench_constraint MODEL.gguf [MODEL.gguf ...]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/formats/gguf/gguf_file.h"
#include "language/decoding/constraints/compile.h"
#include "language/decoding/constraints/grammar_processor.h"

namespace hone {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Case {
  const char* name;
  Result<Constraint> constraint;
  std::string answer;
};

std::vector<Case> Cases() {
  const std::string prose =
      "The quick brown fox jumps over the lazy dog, and then it rests beside the river for the remainder of "
      "the "
      "afternoon; nobody disturbs it.";
  std::vector<Case> cases;
  cases.push_back(
      {"person", CompileJsonSchema(R"({"type": "object", "properties": {"name": {"type": "string"},
      "age": {"type": "integer", "minimum": 0, "maximum": 150}, "email": {"type": "string", "format": "email"},
      "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 1000}, "about": {"type": "string"}},
      "required": ["name", "age", "email", "tags", "about"], "additionalProperties": false})"),
       R"({"name": "Ada Lovelace", "age": 36, "email": "ada@example.org", "tags": ["mathematics", "poetry"], "about": ")" +
           prose + "\"}"});
  cases.push_back({"maxLength 100000", CompileJsonSchema(R"({"type": "object", "properties": {"text":
      {"type": "string", "maxLength": 100000}}, "required": ["text"]})"),
                   R"({"text": ")" + prose + "\"}"});
  cases.push_back({"maxLength 160", CompileJsonSchema(R"({"type": "object", "properties": {"text":
      {"type": "string", "maxLength": 160}}, "required": ["text"]})"),
                   R"({"text": ")" + prose + "\"}"});
  cases.push_back(
      {"any JSON object", AnyJsonObject(),
       R"({"title": "A walk", "steps": [{"at": 1, "text": ")" + prose + R"("}, {"at": 2.5, "ok": true}]})"});
  cases.push_back({"regular expression", CompileRegex("([A-Za-z ,.;-]{1,400}|[0-9]{3}-[0-9]{4})"), prose});
  cases.push_back({"GBNF prose",
                   CompileGbnf("root ::= sentence+\nsentence ::= word ([ ,;] \" \"? word)* [.!?] \" \"?\n"
                               "word ::= [A-Za-z]+"),
                   prose});
  return cases;
}

void Measure(const Case& c, const std::shared_ptr<const TokenTable>& table, std::vector<TokenId> ends) {
  if (!c.constraint) {
    std::printf("  %-20s %s\n", c.name, c.constraint.error().message.c_str());
    return;
  }
  const std::vector<TokenId> answer = table->tokenizer().EncodeText(c.answer).tokens;
  std::vector<float> fresh(static_cast<size_t>(table->size()));
  std::mt19937 random(1);
  for (float& logit : fresh) logit = std::normal_distribution<float>(0, 3)(random);
  const auto masks = std::make_shared<TokenMasks>(*c.constraint, table, std::move(ends));
  std::printf("  %-20s %4zu tokens", c.name, answer.size());
  for (const char* pass : {"first", "again"}) {
    GrammarProcessor processor(masks);
    std::vector<double> seconds;
    int64_t refused = 0;
    for (size_t n = 0; n <= answer.size(); ++n) {
      std::vector<float> logits = fresh;
      TokenScores scores;
      scores.Reset(logits);
      const double start = Now();
      processor.Apply({{answer.data(), n}, 0}, scores);
      seconds.push_back(Now() - start);
      if (n < answer.size() && !(logits[static_cast<size_t>(answer[n])] > -1e30f)) ++refused;
    }
    double sum = 0;
    for (const double s : seconds) sum += s;
    std::sort(seconds.begin(), seconds.end());
    std::printf(" | %s: mean %6.1f us, median %6.1f, largest %7.1f", pass,
                1e6 * sum / static_cast<double>(seconds.size()), 1e6 * seconds[seconds.size() / 2],
                1e6 * seconds.back());
    if (refused > 0) std::printf(" (%lld refused!)", static_cast<long long>(refused));
  }
  std::printf(" | %lld masks, %lld states\n", static_cast<long long>(masks->counts().built),
              static_cast<long long>(masks->counts().states));
}

int Run(int count, char** paths) {
  for (int i = 1; i < count; ++i) {
    const auto file = GgufFile::Open(paths[i]);
    const auto tokenizer = file ? Tokenizer::FromGguf(*file)
                                : Result<std::shared_ptr<const Tokenizer>>(tl::unexpected(file.error()));
    if (!tokenizer) {
      std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
      return 3;
    }
    const double start = Now();
    const auto table = std::make_shared<TokenTable>(*tokenizer);
    std::printf("%s: %lld tokens, table made in %.0f ms\n", paths[i], static_cast<long long>(table->size()),
                1e3 * (Now() - start));
    for (const Case& c : Cases()) Measure(c, table, (*tokenizer)->special().ends);
  }
  return 0;
}

}  // namespace
}  // namespace hone

int main(int count, char** arguments) { return hone::Run(count, arguments); }
