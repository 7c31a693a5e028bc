// Chat templates: the Jinja language as Hugging Face's renderer runs it (trim_blocks, lstrip_blocks, loop
// controls, `generation` blocks, tojson, raise_exception, strftime_now; sandboxed).
#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

struct RenderedChat {
  struct Span {
    size_t begin = 0;
    size_t end = 0;
  };
  std::string text;
  // Bytes that came from the variables (messages, tools, documents), not from the template's own text:
  // sorted, disjoint. Control tokens spelled there are text.
  std::vector<Span> from_variables;
};

struct RenderLimits {
  int64_t steps = 10'000'000;  // evaluated nodes
  int64_t output_bytes = 64 << 20;
  int depth = 200;
};

class ChatTemplate {
 public:
  // Errors name the line: "chat template: line 3: ...".
  static Result<ChatTemplate> Parse(std::string_view source);

  // `variables` is an object: messages, tools, add_generation_prompt, bos_token, eos_token and whatever else
  // the template reads. bos_token and eos_token count as the template's own text, and so does a message's
  // role where it is system, user, assistant, tool or developer. `clock` is what strftime_now sees. A refusal
  // by raise_exception is an error whose message is the template's words.
  Result<RenderedChat> Render(const nlohmann::ordered_json& variables, const std::tm& clock,
                              const RenderLimits& limits = {}) const;

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
};

}  // namespace hone
