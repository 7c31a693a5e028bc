#include "language/serving/http/answer_json.h"

#include <nlohmann/json.hpp>

#include "core/formats/tokenizer/text_stream.h"

namespace hone {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }
std::string Event(const Json& json) { return "data: " + Dump(json) + "\n\n"; }

Json Usage(const std::vector<FinishedChoice>& choices, int64_t choices_per_prompt) {
  int64_t prompt = 0;
  int64_t cached = 0;
  int64_t answer = 0;
  int64_t reasoning = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i % static_cast<size_t>(choices_per_prompt) == 0) {
      prompt += choices[i].prompt_tokens;
      cached += choices[i].cached_tokens;
    }
    answer += choices[i].answer_tokens;
    reasoning += choices[i].reasoning_tokens;
  }
  Json usage;
  usage["prompt_tokens"] = prompt;
  usage["completion_tokens"] = answer;
  usage["total_tokens"] = prompt + answer;
  usage["prompt_tokens_details"] = {{"cached_tokens", cached}};
  usage["completion_tokens_details"] = {{"reasoning_tokens", reasoning}};
  return usage;
}

double LogProbabilityOf(const ChosenToken& token, const ScoredToken& alternative) {
  return static_cast<double>(alternative.logit) - token.log_mass;
}

std::string TokenText(const Tokenizer& tokenizer, TokenId id) {
  const bool control = tokenizer.IsControl(id);
  if (control) return tokenizer.Decode({&id, 1}, true);
  std::string bytes(tokenizer.TokenBytes(id));
  std::string text;
  TakeWholeCharacters(bytes, text);
  if (!bytes.empty()) text += "\xEF\xBF\xBD";
  return text;
}

namespace {

Json Entry(const Tokenizer& tokenizer, TokenId id, double log_probability) {
  Json entry;
  entry["token"] = TokenText(tokenizer, id);
  entry["logprob"] = log_probability;
  Json bytes = Json::array();
  const std::string spelled =
      tokenizer.IsControl(id) ? TokenText(tokenizer, id) : std::string(tokenizer.TokenBytes(id));
  for (const char byte : spelled) bytes.push_back(static_cast<uint8_t>(byte));
  entry["bytes"] = std::move(bytes);
  return entry;
}

}  // namespace

Json ChatLogProbabilities(const std::vector<ChosenToken>& tokens, const Tokenizer& tokenizer) {
  Json content = Json::array();
  for (const ChosenToken& token : tokens) {
    Json entry = Entry(tokenizer, token.id, token.log_probability.value_or(0.0));
    Json top = Json::array();
    for (const ScoredToken& other : token.top) {
      top.push_back(Entry(tokenizer, other.id, LogProbabilityOf(token, other)));
    }
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace hone
