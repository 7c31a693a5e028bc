#include "language/serving/http/prompt_fields.h"

#include <nlohmann/json.hpp>

namespace hone {

using Json = nlohmann::ordered_json;

ApiResult<std::vector<std::vector<TokenId>>> ReadPrompts(const ServedModel& model, RequestFields& fields,
                                                         const std::string& name, bool& texts) {
  const Tokenizer& tokenizer = model.tokenizer();
  const int64_t vocabulary = model.engine().model().config().vocabulary;
  const Json* value = fields.Find(name);
  const auto wrong = [&] {
    return BadField(name,
                    fmt::format("{}: expected a string, a list of strings, or lists of token ids", name));
  };
  if (value == nullptr || (!value->is_string() && !value->is_array()) || value->empty()) return wrong();
  const auto ids = [&](const Json& list) -> ApiResult<std::vector<TokenId>> {
    std::vector<TokenId> tokens;
    for (const Json& id : list) {
      if (!id.is_number_integer()) return wrong();
      const auto token = id.get<int64_t>();
      if (token < 0 || token >= vocabulary) {
        return BadField(
            name, fmt::format("{}: found token {}, expected ids from 0 to {}", name, token, vocabulary - 1));
      }
      tokens.push_back(static_cast<TokenId>(token));
    }
    return tokens;
  };
  std::vector<std::vector<TokenId>> prompts;
  texts = value->is_string() || (value->is_array() && (*value)[0].is_string());
  if (value->is_string()) {
    prompts.push_back(EncodePrompt(tokenizer, value->get<std::string>()).tokens);
  } else if ((*value)[0].is_number()) {
    HONE_TRY(auto tokens, ids(*value));
    prompts.push_back(std::move(tokens));
  } else {
    if (value->size() > kMostPrompts) {
      return BadField(
          name, fmt::format("{}: found {} prompts, expected at most {}", name, value->size(), kMostPrompts));
    }
    for (const Json& prompt : *value) {
      if (prompt.is_string() && texts) {
        prompts.push_back(EncodePrompt(tokenizer, prompt.get<std::string>()).tokens);
      } else if (prompt.is_array() && !texts) {
        HONE_TRY(auto tokens, ids(prompt));
        prompts.push_back(std::move(tokens));
      } else {
        return wrong();
      }
    }
  }
  return prompts;
}

ApiResult<ChatPromptOptions> ReadPromptOptions(RequestFields& fields, const std::string& tools_json) {
  ChatPromptOptions prompt;
  prompt.tools_json = tools_json;
  HONE_TRY(const Json* kwargs, fields.Object("chat_template_kwargs"));
  if (kwargs != nullptr)
    prompt.template_kwargs_json = kwargs->dump(-1, ' ', false, Json::error_handler_t::replace);
  HONE_TRY(const auto add, fields.Bool("add_generation_prompt"));
  HONE_TRY(const auto goes_on, fields.Bool("continue_final_message"));
  prompt.continue_final_message = goes_on.value_or(false);
  if (add) prompt.add_generation_prompt = *add;
  if (prompt.continue_final_message && add.value_or(false)) {
    return BadField("continue_final_message",
                    "continue_final_message: not together with add_generation_prompt true");
  }
  return prompt;
}

ApiResult<Json> ResponsesMessages(RequestFields& fields) {
  Json messages = Json::array();
  HONE_TRY(const auto instructions, fields.String("instructions"));
  if (instructions) messages.push_back({{"role", "system"}, {"content", *instructions}});
  const Json* input = fields.Find("input");
  if (input == nullptr) return BadField("input", "input: absent, expected a string or a list of messages");
  if (input->is_string()) {
    messages.push_back({{"role", "user"}, {"content", *input}});
    return messages;
  }
  if (!input->is_array()) return BadField("input", "input: expected a string or a list of messages");
  for (size_t i = 0; i < input->size(); ++i) {
    Json item = (*input)[i];
    const std::string where = fmt::format("input[{}]", i);
    if (!item.is_object()) return BadField(where, where + ": expected a message");
    if (item.contains("type") && item["type"] != "message") {
      return BadField(where + ".type", where + ".type: only \"message\" is supported");
    }
    if (item.contains("content") && item["content"].is_array()) {
      for (Json& part : item["content"]) {
        if (!part.is_object()) continue;
        const Json type = part.value("type", Json());
        if (type == "input_text" || type == "output_text") part["type"] = "text";
      }
    }
    Json message{{"role", item.value("role", Json())}, {"content", item.value("content", Json())}};
    if (message["role"] == "developer") message["role"] = "system";
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace hone
