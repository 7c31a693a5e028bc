// One request's answer on its way from the engine to the client: the choices' pieces are gathered, or written
// as they come, in the endpoint's own form.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "language/serving/http/api_error.h"
#include "language/serving/http/generation_request.h"
#include "language/serving/http/http_message.h"
#include "language/serving/http/reasoning_splitter.h"
#include "language/serving/http/served_model.h"
#include "language/serving/http/tool_call_parser.h"

namespace hone {

// What one or more tokens added to a choice.
struct AnswerPiece {
  std::string text;
  std::string reasoning;
  std::vector<ToolCallPiece> calls;
  std::vector<ChosenToken> tokens;  // since the piece before, where log-probabilities were asked for

  bool empty() const { return text.empty() && reasoning.empty() && calls.empty() && tokens.empty(); }
};

// A choice that is complete.
struct FinishedChoice {
  AnswerPiece all;
  std::vector<ToolCallPiece> calls;  // whole ones
  std::vector<ChosenToken> prompt;   // scores of prompt tokens 1, 2, .., where asked for
  std::string finish_reason;         // "stop", "length", "tool_calls"
  std::string stop_string;           // that ended it
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t answer_tokens = 0;
  int64_t reasoning_tokens = 0;
};

// How an endpoint spells its answer. Called for one answer from one thread at a time.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  // The body of a whole answer.
  virtual std::string Whole(const std::vector<FinishedChoice>& choices) = 0;
  // Server-sent events: before the first piece of any choice; a piece; a choice's end; everything's end.
  virtual std::string Begin() = 0;
  virtual std::string Piece(int64_t choice, const AnswerPiece& piece) = 0;
  virtual std::string End(int64_t choice, const FinishedChoice& finished) = 0;
  virtual std::string Close(const std::vector<FinishedChoice>& choices) = 0;
};

// What a choice is answered from.
struct ChoicePrompt {
  std::vector<TokenId> tokens;
  int64_t dropped_bytes = 0;
};

struct AnswerPlan {
  GenerationRequest request;
  std::vector<ChoicePrompt> prompts;  // request.choices answers to each
  bool prompt_scores = false;
  std::vector<TokenId> ends;
  ReasoningSplitter::Start reasoning = ReasoningSplitter::Start::kNever;
  std::vector<TokenId> markers;         // see StopRules
  std::vector<std::string> tool_names;  // that calls are looked for of; empty: text is text
  std::shared_ptr<TokenMasks> masks;    // what the answer must look like; null: free
  std::string tenant;
  HttpHeaders headers;   // of the reply
  double seconds = 0.0;  // an answer that takes longer ends with what it has; 0: no limit
  std::function<void(const JobTimes& times, int64_t tokens)>
      on_times;  // of every choice that ended; may be empty
};

// Submits the choices; the exchange gets its answer, or its refusal, by and by.
class HttpAnswer : public std::enable_shared_from_this<HttpAnswer> {
 public:
  static void Start(std::shared_ptr<const ServedModel> model, AnswerPlan plan,
                    std::unique_ptr<AnswerWriter> writer, std::shared_ptr<HttpExchange> exchange);

  HttpAnswer(std::shared_ptr<const ServedModel> model, AnswerPlan plan, std::unique_ptr<AnswerWriter> writer,
             std::shared_ptr<HttpExchange> exchange);

 private:
  struct Choice {
    explicit Choice(const AnswerPlan& plan, size_t index);
    ReasoningSplitter splitter;
    std::optional<ToolCallParser> parser;
    AnswerPiece pending;  // not yet sent
    FinishedChoice finished;
    bool done = false;
  };

  void Submit();
  ModelJob MakeJob(size_t index);
  void OnToken(size_t index, const ChosenToken& token);
  void OnText(size_t index, std::string_view text);
  void OnEnded(size_t index, const ModelJob::Ended& ended);
  void Flush(Choice& choice, size_t index);
  void BeginStream();
  void Fail(const ApiError& error);
  void CompleteIfAll();
  void CancelJobs();

  const std::shared_ptr<const ServedModel> model_;
  ServingEngine& engine_;
  const AnswerPlan plan_;
  const std::unique_ptr<AnswerWriter> writer_;
  const std::shared_ptr<HttpExchange> exchange_;

  std::mutex mutex_;  // guards what follows
  std::vector<std::unique_ptr<Choice>> choices_;
  std::vector<JobId> jobs_;
  size_t open_ = 0;
  bool streaming_ = false;
  bool failed_ = false;
  bool gone_ = false;
};

}  // namespace hone
