// Answers of models under constraints: a random one, whose words mean nothing, and SmolLM2 where it is there.
#include <regex>

#include "../generation_fixture.h"
#include "constraint_fixture.h"
#include "json_validator.h"
#include "language/models/model_fixture.h"

namespace hone {
namespace {

using testing::Json;
using testing::JsonValidator;

constexpr auto kPerson = R"({"type": "object", "properties": {
  "name": {"type": "string", "minLength": 1, "maxLength": 40},
  "age": {"type": "integer", "minimum": 0, "maximum": 150},
  "hobbies": {"type": "array", "items": {"enum": ["reading", "chess", "running"]}, "minItems": 1, "maxItems": 3},
  "born": {"type": "string", "format": "date"}},
  "required": ["name", "age", "hobbies", "born"], "additionalProperties": false})";

Answer Complete(Session& session, const char* prompt, const Result<Constraint>& constraint, uint64_t seed,
                double temperature) {
  EXPECT_TRUE(constraint);
  GenerateOptions options;
  options.constraint = *constraint;
  options.max_tokens = 220;
  options.sampling.temperature = temperature;
  options.sampling.seed = seed;
  auto answer = session.Complete(prompt, options);
  EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
  return answer ? *std::move(answer) : Answer{};
}

void ExpectPerson(const Answer& answer) {
  ASSERT_EQ(answer.finish, FinishReason::kStop) << answer.text;
  const Json value = Json::parse(answer.text, nullptr, false);
  ASSERT_FALSE(value.is_discarded()) << answer.text;
  const Json schema = Json::parse(kPerson);
  EXPECT_TRUE(JsonValidator(schema).Valid(value)) << answer.text;
  std::vector<std::string> keys;
  for (const auto& [key, member] : value.items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"name", "age", "hobbies", "born"}));
  EXPECT_EQ(answer.text.back(), '}');
}

TEST(ConstrainedAnswers, OfARandomModelFollowASchemaAtAnyTemperature) {
  auto session = Session::Load(testing::RandomModelPath(), {}, {.context = 512});
  ASSERT_TRUE(session) << session.error().message;
  int finished = 0;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const Answer answer = Complete(*session, "x", CompileJsonSchema(kPerson), seed, 1.5);
    const testing::Reader reader(CompileJsonSchema(kPerson));
    EXPECT_TRUE(reader.MayBegin(answer.text)) << answer.text;
    if (answer.finish != FinishReason::kStop) continue;
    ++finished;
    ExpectPerson(answer);
  }
  EXPECT_GT(finished, 0);
}

TEST(ConstrainedAnswers, OfSmolLm2FollowSchemaGrammarAndExpression) {
  const std::string path = testing::RealModel("smol-q4_0.gguf");
  if (path.empty()) GTEST_SKIP() << "no smol-q4_0.gguf in HONE_TEST_MODELS";
  auto session = Session::Load(path, {}, {.context = 512});
  ASSERT_TRUE(session) << session.error().message;
  constexpr auto kPrompt = "A person as JSON, with name, age, hobbies and date of birth:\n";
  ExpectPerson(Complete(*session, kPrompt, CompileJsonSchema(kPerson), 1, 0.0));
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    ExpectPerson(Complete(*session, kPrompt, CompileJsonSchema(kPerson), seed, 1.0));
  }
  const Answer number = Complete(*session, "Her phone number is ", CompileRegex("\\d{3}-\\d{4}"), 1, 0.8);
  EXPECT_TRUE(std::regex_match(number.text, std::regex("\\d{3}-\\d{4}"))) << number.text;
  const Answer yes =
      Complete(*session, "Is the sky blue? ", CompileGbnf("root ::= \"yes\" | \"no\""), 1, 0.0);
  EXPECT_TRUE(yes.text == "yes" || yes.text == "no") << yes.text;
  const Answer object = Complete(*session, "Some JSON: ", AnyJsonObject(), 3, 0.9);
  if (object.finish != FinishReason::kStop) return;
  EXPECT_TRUE(Json::parse(object.text, nullptr, false).is_object()) << object.text;
}

}  // namespace
}  // namespace hone
