// Session: a model, one conversation's sequence and a runner, together. The convenience for programs that
// hold one conversation; a server uses StepLoop itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/plan/plan.h"
#include "language/decoding/chat_prompt.h"
#include "language/decoding/constraints/constraint.h"
#include "language/decoding/generation.h"
#include "language/decoding/sampler.h"
#include "language/models/model.h"
#include "language/models/runner.h"
#include "language/models/sequence.h"

namespace hone {

class TokenTable;

struct SessionOptions {
  int64_t context =
      0;  // tokens of prompt and answer together; 0: the model's limit, more than it only when asked
  NumericMode mode = NumericMode::kFast;
  int64_t chunk = 512;  // prompt tokens read in one step
  Plan plan;            // what calibration or tuning found; refused where it does not fit
};

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_tokens = -1;  // -1: the rest of the context
  std::vector<std::string> stop;
  bool ignore_ends = false;
  int64_t top = 0;          // largest raw logits kept with every chosen token
  bool prompt_top = false;  // and with every prompt token
  bool log_probabilities = false;
  std::optional<Constraint> constraint;  // what the answer must look like, see constraints/compile.h
  GenerationListener listener;
  const std::atomic<bool>* cancel = nullptr;  // ends the answer once it is true
};

struct Answer {
  std::vector<TokenId> prompt;
  int64_t reused_tokens = 0;        // of the prompt, whose cache entries were there already
  int64_t dropped_bytes = 0;        // of the prompt, that the vocabulary cannot spell
  std::vector<ChosenToken> tokens;  // an end token included
  std::string text;                 // without end token and stop string
  FinishReason finish = FinishReason::kStop;
  std::string stop_string;
  uint64_t seed = 0;  // what was drawn from, given or fresh
  std::vector<std::vector<ScoredToken>> prompt_top;
  GenerationTimes times;

  double prefill_tokens_per_second() const;
  double decode_tokens_per_second() const;  // of all tokens but the first, which the prompt's step brings
};

// Used by one thread.
class Session {
 public:
  Session(Session&&) = default;
  Session& operator=(Session&& other) noexcept {
    // As a whole, not member by member: what was there dies in the reverse order of its making.
    if (this != &other) {
      std::destroy_at(this);
      std::construct_at(this, std::move(other));
    }
    return *this;
  }

  // `name`: a GGUF file, any shard of a split one, a Hugging Face folder, or the name of a model that was
  // pulled.
  static Result<Session> Load(const std::string& name, const LoadOptions& load = {},
                              const SessionOptions& options = {});
  static Result<Session> Create(std::shared_ptr<Engine> engine, std::shared_ptr<const Model> model,
                                const SessionOptions& options = {});

  // Goes on from a plain text; BOS as the file says.
  Result<Answer> Complete(std::string_view text, const GenerateOptions& options = {});
  // Answers messages by the model's chat template. Whatever these messages share with the last prompt and
  // answer is not read again.
  Result<Answer> Chat(std::span<const ChatMessage> messages, const GenerateOptions& options = {},
                      const ChatPromptOptions& prompt = {});
  Result<Answer> Chat(const nlohmann::ordered_json& messages, const GenerateOptions& options = {},
                      const ChatPromptOptions& prompt = {});
  // Goes on from tokens as they are; `ends` sorted.
  Result<Answer> Generate(Encoding prompt, const std::vector<TokenId>& ends,
                          const GenerateOptions& options = {});

  // Every token that ends an answer, by the file and by the chat template, sorted.
  const std::vector<TokenId>& ends() const {
    return chat_ ? chat_->ends() : model_->tokenizer().special().ends;
  }
  // The template's messages and ends; an error in a model without one.
  Result<const ChatPrompt*> chat_prompt() const;

  const Model& model() const { return *model_; }
  Engine& engine() const { return *engine_; }
  Runner& runner() { return *runner_; }
  const std::shared_ptr<PagePool>& pool() const { return pool_; }
  int64_t context() const { return options_.context; }
  const Sequence& sequence() const { return *sequence_; }
  // Forgets the conversation: the next prompt is read whole.
  Result<void> Reset();

 private:
  Session() = default;
  // Keeps what the cache shares with `prompt`, at most all but its last token, and returns how much that is.
  Result<int64_t> ReusePrefix(std::span<const TokenId> prompt);

  // In the order of their lives: the engine outlives what draws from its accounts.
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<const Model> model_;
  std::shared_ptr<PagePool> pool_;
  std::unique_ptr<Runner> runner_;
  std::unique_ptr<Sequence> sequence_;
  SessionOptions options_;
  std::shared_ptr<const TokenTable> token_table_;  // made for the first constraint
  tl::expected<ChatPrompt, Error> chat_ = tl::unexpected(Error{});
};

}  // namespace hone
