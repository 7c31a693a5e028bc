// One answer on its way: what may end it, who hears of it, and what has come so far.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/tokenizer/text_stream.h"
#include "language/decoding/decoding_strategy.h"
#include "language/decoding/stop_strings.h"

namespace hone {

struct StopRules {
  int64_t max_tokens = -1;        // of the answer; -1: the rest of the context
  int64_t context = 0;            // tokens of prompt and answer together
  std::vector<std::string> stop;  // an answer ends before the leftmost of these
  std::vector<TokenId> ends;      // tokens that end an answer, sorted
  bool ignore_ends = false;       // go on past them
  std::vector<TokenId> markers;   // control tokens that are text all the same (<tool_call>), sorted
};

enum class FinishReason : uint8_t {
  kStop,       // an end token or a stop string
  kLength,     // max_tokens, or the context is full
  kCancelled,  // the caller said so
  kFailed,     // see Generation::error
};
std::string_view FinishReasonName(FinishReason reason);  // "stop", "length", "cancelled", "failed"

// Called from the thread that steps, in order; each may be empty.
struct GenerationListener {
  // While the prompt is read: tokens that are cached, and all.
  std::function<void(int64_t done, int64_t total)> prompt;
  std::function<void(const ChosenToken&)> token;
  // Whole characters only; an unfinished one at the end of the answer comes as one U+FFFD. What a stop string
  // cuts off and end tokens never come.
  std::function<void(std::string_view)> text;
};

struct GenerationTimes {
  double first_token_seconds = 0.0;  // from the first step to the first token: the prompt
  double total_seconds = 0.0;        // to the end
  int64_t prompt_rows = 0;           // prompt tokens that were run, reused ones not counted
};

class Generation {
 public:
  // A stop string that is empty is an error. The prompt is what the strategy's sequence holds; it must fit
  // the context.
  static Result<std::unique_ptr<Generation>> Create(std::unique_ptr<DecodingStrategy> strategy,
                                                    StopRules rules, GenerationListener listener,
                                                    const Tokenizer& tokenizer);

  DecodingStrategy& strategy() { return *strategy_; }
  // May be called from any thread: the answer ends before its next step.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  bool finished() const { return finish_.has_value(); }
  FinishReason finish() const { return *finish_; }                    // once finished
  const Error& error() const { return error_; }                       // why, if failed
  const std::vector<ChosenToken>& tokens() const { return tokens_; }  // the answer, an end token included
  const std::string& text() const { return text_; }                   // what the listener was given, together
  const std::string& stop_string() const { return stop_.matched(); }
  const GenerationTimes& times() const { return times_; }
  int64_t prompt_tokens() const { return strategy_->sequence().prompt_tokens; }

  // For whoever drives the steps.
  void StartClock();
  // After a step of `rows` rows: takes the strategy's new tokens and finishes when one of them ends the
  // answer.
  void Take(int64_t rows);
  void Finish(FinishReason reason);
  void Fail(Error error);

 private:
  Generation(std::unique_ptr<DecodingStrategy> strategy, StopRules rules, GenerationListener listener,
             StopStrings stop, const Tokenizer& tokenizer);

  bool TakeToken(ChosenToken token);
  void Send(std::string_view text);
  int64_t budget() const;

  const Tokenizer& tokenizer_;
  std::unique_ptr<DecodingStrategy> strategy_;
  StopRules rules_;
  GenerationListener listener_;
  StopStrings stop_;
  Decoder stream_;
  std::atomic<bool> cancelled_{false};
  std::optional<FinishReason> finish_;
  Error error_;
  std::vector<ChosenToken> tokens_;
  std::string text_;
  GenerationTimes times_;
  double started_ = -1.0;
};

}  // namespace hone
