#include "language/serving/http/answer.h"

#include <algorithm>
#include <cmath>

#include "language/decoding/plain_decoding.h"

namespace hone {
namespace {

// Where a prompt is shorter, waiting for another choice to read it costs more than reading it.
constexpr size_t kWorthSharing = 2 * PrefixCache::kBlock;

void Append(AnswerPiece&& piece, AnswerPiece& all) {
  all.text += piece.text;
  all.reasoning += piece.reasoning;
  std::move(piece.calls.begin(), piece.calls.end(), std::back_inserter(all.calls));
  std::move(piece.tokens.begin(), piece.tokens.end(), std::back_inserter(all.tokens));
  piece = {};
}

std::vector<ToolCallPiece> Join(const std::vector<ToolCallPiece>& pieces) {
  std::vector<ToolCallPiece> calls;
  for (const ToolCallPiece& piece : pieces) {
    if (!piece.name.empty()) calls.push_back(piece);
    if (!calls.empty() && piece.name.empty()) calls.back().arguments += piece.arguments;
  }
  return calls;
}

}  // namespace

HttpAnswer::Choice::Choice(const AnswerPlan& plan, size_t index) : splitter(plan.reasoning) {
  if (!plan.tool_names.empty()) {
    parser.emplace(fmt::format("{:x}{}", plan.request.seed & 0xffffffffff, index), plan.tool_names);
  }
}

void HttpAnswer::Start(std::shared_ptr<const ServedModel> model, AnswerPlan plan,
                       std::unique_ptr<AnswerWriter> writer, std::shared_ptr<HttpExchange> exchange) {
  const auto answer =
      std::make_shared<HttpAnswer>(std::move(model), std::move(plan), std::move(writer), std::move(exchange));
  answer->Submit();
}

HttpAnswer::HttpAnswer(std::shared_ptr<const ServedModel> model, AnswerPlan plan,
                       std::unique_ptr<AnswerWriter> writer, std::shared_ptr<HttpExchange> exchange)
    : model_(std::move(model)),
      engine_(model_->engine()),
      plan_(std::move(plan)),
      writer_(std::move(writer)),
      exchange_(std::move(exchange)) {
  open_ = plan_.prompts.size() * static_cast<size_t>(plan_.request.choices);
  for (size_t i = 0; i < open_; ++i) choices_.push_back(std::make_unique<Choice>(plan_, i));
}

void HttpAnswer::Submit() {
  const auto per_prompt = static_cast<size_t>(plan_.request.choices);
  const size_t count = choices_.size();
  JobId first = kNoJob;
  for (size_t i = 0; i < count; ++i) {
    JobRequest order;
    order.tenant = plan_.tenant;
    order.priority = plan_.request.priority;
    if (plan_.seconds > 0.0) order.deadline = engine_.now() + plan_.seconds;
    const bool shares = plan_.prompts[i / per_prompt].tokens.size() >= kWorthSharing && !plan_.prompt_scores;
    if (i % per_prompt != 0 && shares) order.after = first;
    auto submitted = engine_.Submit(MakeJob(i), order);
    if (!submitted) {
      Fail(FromEngine(submitted.error()));
      return CancelJobs();
    }
    if (const Refusal* refusal = std::get_if<Refusal>(&*submitted)) {
      ApiError error{429, "the server is busy: the queue is full, try again later"};
      error.code = "rate_limit_exceeded";
      error.retry_after_seconds = refusal->retry_after_seconds;
      Fail(error);
      return CancelJobs();
    }
    const JobId id = std::get<JobId>(*submitted);
    if (i % per_prompt == 0) first = id;
    const std::lock_guard lock(mutex_);
    jobs_.push_back(id);
  }
  exchange_->OnGone([weak = weak_from_this()] {
    const auto answer = weak.lock();
    if (!answer) return;
    {
      const std::lock_guard lock(answer->mutex_);
      answer->gone_ = true;
    }
    answer->CancelJobs();
  });
}

void HttpAnswer::CancelJobs() {
  std::vector<JobId> jobs;
  {
    const std::lock_guard lock(mutex_);
    jobs = jobs_;
  }
  for (const JobId id : jobs) engine_.Cancel(id);
}

ModelJob HttpAnswer::MakeJob(size_t index) {
  const auto per_prompt = static_cast<size_t>(plan_.request.choices);
  const GenerationRequest& request = plan_.request;
  ModelJob job;
  job.prompt = plan_.prompts[index / per_prompt].tokens;
  job.rules.max_tokens = request.max_tokens;
  job.rules.stop = request.stop;
  job.rules.ends = plan_.ends;
  job.rules.ignore_ends = request.ignore_ends;
  job.rules.markers = plan_.markers;
  SamplingOptions sampling = request.sampling;
  sampling.seed = ChoiceSeed(request.seed, static_cast<int64_t>(index % per_prompt));
  PlainDecodingOptions decoding;
  decoding.top = request.log_probabilities ? request.top : 0;
  decoding.log_probabilities = request.log_probabilities;
  decoding.prompt_scores = plan_.prompt_scores;
  job.strategy = PlainStrategy(sampling, decoding, plan_.masks);
  job.reuse_prefix = !plan_.prompt_scores;
  const auto self = shared_from_this();
  job.listener.token = [self, index](const ChosenToken& token) { self->OnToken(index, token); };
  job.listener.text = [self, index](std::string_view text) { self->OnText(index, text); };
  job.ended = [self, index](const ModelJob::Ended& ended) { self->OnEnded(index, ended); };
  return job;
}

void HttpAnswer::OnToken(size_t index, const ChosenToken& token) {
  const std::lock_guard lock(mutex_);
  Choice& choice = *choices_[index];
  ++choice.finished.answer_tokens;
  if (choice.splitter.thinking()) ++choice.finished.reasoning_tokens;
  const bool ends =
      !plan_.request.ignore_ends && std::binary_search(plan_.ends.begin(), plan_.ends.end(), token.id);
  if (plan_.request.log_probabilities && !ends) choice.pending.tokens.push_back(token);
}

void HttpAnswer::OnText(size_t index, std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (failed_ || gone_) return;
  Choice& choice = *choices_[index];
  std::string answer;
  choice.splitter.Feed(text, choice.pending.reasoning, answer);
  if (choice.parser) {
    choice.parser->Feed(answer, choice.pending.text, choice.pending.calls);
  } else {
    choice.pending.text += answer;
  }
  const bool shows =
      !choice.pending.text.empty() || !choice.pending.reasoning.empty() || !choice.pending.calls.empty();
  if (shows) Flush(choice, index);
}

void HttpAnswer::Flush(Choice& choice, size_t index) {
  if (choice.pending.empty()) return;
  if (plan_.request.stream) {
    BeginStream();
    exchange_->Send(writer_->Piece(static_cast<int64_t>(index), choice.pending));
  }
  Append(std::move(choice.pending), choice.finished.all);
}

void HttpAnswer::BeginStream() {
  if (streaming_) return;
  streaming_ = true;
  HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers = plan_.headers;
  head.headers.emplace_back("Cache-Control", "no-cache");
  head.body = writer_->Begin();
  exchange_->BeginStream(std::move(head));
}

void HttpAnswer::OnEnded(size_t index, const ModelJob::Ended& ended) {
  const std::lock_guard lock(mutex_);
  Choice& choice = *choices_[index];
  FinishedChoice& finished = choice.finished;
  choice.done = true;
  --open_;
  const Generation& generation = ended.generation;
  const bool late = ended.end == JobEnd::kLate;
  if (plan_.on_times) plan_.on_times(ended.times, finished.answer_tokens);
  if (generation.finish() == FinishReason::kFailed) {
    ApiError error = FromEngine(generation.error());
    if (ended.end == JobEnd::kTooLarge) error.status = 503;
    Fail(error);
  } else if (generation.finish() == FinishReason::kCancelled && !(late && finished.answer_tokens > 0)) {
    Fail({503, late ? "the answer did not begin within the time limit" : "the server is shutting down"});
  }
  if (failed_ || gone_) return;
  std::string rest;
  choice.splitter.Finish(choice.pending.reasoning, rest);
  if (choice.parser) {
    choice.parser->Feed(rest, choice.pending.text, choice.pending.calls);
    choice.parser->Finish(choice.pending.text, choice.pending.calls);
  } else {
    choice.pending.text += rest;
  }
  Flush(choice, index);
  finished.prompt_tokens = generation.prompt_tokens();
  finished.cached_tokens = ended.reused;
  finished.calls = Join(finished.all.calls);
  finished.stop_string = generation.stop_string();
  finished.finish_reason = generation.finish() == FinishReason::kStop ? "stop" : "length";
  if (!finished.calls.empty() && finished.finish_reason == "stop") finished.finish_reason = "tool_calls";
  if (plan_.prompt_scores) {
    if (const auto* plain = dynamic_cast<const PlainDecoding*>(&ended.strategy)) {
      finished.prompt = plain->prompt_scores();
    }
  }
  if (plan_.request.stream) {
    BeginStream();
    exchange_->Send(writer_->End(static_cast<int64_t>(index), finished));
  }
  CompleteIfAll();
}

void HttpAnswer::CompleteIfAll() {
  if (open_ > 0) return;
  std::vector<FinishedChoice> all;
  for (const auto& choice : choices_) all.push_back(std::move(choice->finished));
  if (plan_.request.stream) {
    exchange_->Send(writer_->Close(all));
    exchange_->EndStream();
    return;
  }
  HttpResponse response;
  response.headers = plan_.headers;
  response.body = writer_->Whole(all);
  exchange_->Respond(std::move(response));
}

// The status where nothing was sent yet, else a line of the stream. Other choices of the request go on
// unheard; they are stopped by the client's leaving.
void HttpAnswer::Fail(const ApiError& error) {
  if (failed_) return;
  failed_ = true;
  if (streaming_) {
    exchange_->Send("data: " + ErrorBody(error) + "\n\n");
    exchange_->EndStream();
    return;
  }
  HttpResponse response;
  response.status = error.status;
  response.headers = plan_.headers;
  if (error.retry_after_seconds > 0.0) {
    response.headers.emplace_back("Retry-After",
                                  std::to_string(static_cast<int>(std::ceil(error.retry_after_seconds))));
  }
  response.body = ErrorBody(error);
  exchange_->Respond(std::move(response));
}

}  // namespace hone
