#include "cli/answer_json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

Json TopJson(const std::vector<ScoredToken>& top) {
  Json list = Json::array();
  for (const ScoredToken& token : top) list.push_back({token.id, token.logit});
  return list;
}

}  // namespace

Json AnswerJson(const Answer& answer, bool top) {
  Json json = {{"prompt_tokens", answer.prompt}, {"tokens", Json::array()}, {"text", answer.text}};
  json["finish_reason"] = FinishReasonName(answer.finish);
  json["stop_string"] = answer.stop_string.empty() ? Json() : Json(answer.stop_string);
  json["seed"] = answer.seed;
  json["reused_tokens"] = answer.reused_tokens;
  json["dropped_bytes"] = answer.dropped_bytes;
  if (top) json["top"] = Json::array();
  for (const ChosenToken& token : answer.tokens) {
    json["tokens"].push_back(token.id);
    if (top) json["top"].push_back(TopJson(token.top));
    if (token.log_probability) json["logprobs"].push_back(*token.log_probability);
  }
  if (!answer.prompt_top.empty()) {
    json["prompt_top"] = Json::array();
    for (const auto& row : answer.prompt_top) json["prompt_top"].push_back(TopJson(row));
  }
  json["timings"] = {{"prefill_seconds", answer.times.first_token_seconds},
                     {"prefill_tokens", answer.times.prompt_rows},
                     {"prefill_tokens_per_second", answer.prefill_tokens_per_second()},
                     {"decode_seconds", answer.times.total_seconds - answer.times.first_token_seconds},
                     {"decode_tokens_per_second", answer.decode_tokens_per_second()}};
  return json;
}

std::string SpeedLine(const Answer& answer) {
  std::string line = fmt::format("{} tokens, {:.1f}/s; prompt {}", answer.tokens.size(),
                                 answer.decode_tokens_per_second(), answer.prompt.size());
  if (answer.reused_tokens > 0) line += fmt::format(" ({} reused)", answer.reused_tokens);
  return line + fmt::format(", {:.0f}/s", answer.prefill_tokens_per_second());
}

}  // namespace hone
