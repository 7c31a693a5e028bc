// How requests spell what a model is to read: messages, texts, token ids.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "language/serving/http/request_fields.h"
#include "language/serving/http/served_model.h"

namespace hone {

inline constexpr size_t kMostPrompts = 256;

// A string, a list of strings, a list of token ids or a list of such lists; `texts`: which of the two.
ApiResult<std::vector<std::vector<TokenId>>> ReadPrompts(const ServedModel& model, RequestFields& fields,
                                                         const std::string& name, bool& texts);

// chat_template_kwargs, add_generation_prompt, continue_final_message.
ApiResult<ChatPromptOptions> ReadPromptOptions(RequestFields& fields, const std::string& tools_json);

// instructions and input of /v1/responses as messages.
ApiResult<nlohmann::ordered_json> ResponsesMessages(RequestFields& fields);

}  // namespace hone
