// An answer as machines and people read it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "language/decoding/session.h"

namespace hone {

// {"prompt_tokens", "tokens", "text", "finish_reason", "seed", "timings", ...}; `top`: with the largest
// logits.
nlohmann::ordered_json AnswerJson(const Answer& answer, bool top);

// "31 tokens, 93.2/s; prompt 25 (20 reused), 310/s"
std::string SpeedLine(const Answer& answer);

}  // namespace hone
