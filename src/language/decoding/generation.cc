#include "language/decoding/generation.h"

#include <algorithm>
#include <chrono>

namespace hone {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kFailed:
      return "failed";
  }
  return "failed";
}

Result<std::unique_ptr<Generation>> Generation::Create(std::unique_ptr<DecodingStrategy> strategy,
                                                       StopRules rules, GenerationListener listener,
                                                       const Tokenizer& tokenizer) {
  HONE_TRY(StopStrings stop, StopStrings::Create(rules.stop));
  const auto prompt = static_cast<int64_t>(strategy->sequence().tokens.size());
  if (prompt == 0) return WrongUsage("prompt: found no tokens, expected at least one");
  if (prompt > rules.context) {
    return WrongUsage("prompt: found {} tokens, expected at most {}, the size of the context", prompt,
                      rules.context);
  }
  return std::unique_ptr<Generation>(
      new Generation(std::move(strategy), std::move(rules), std::move(listener), std::move(stop), tokenizer));
}

Generation::Generation(std::unique_ptr<DecodingStrategy> strategy, StopRules rules,
                       GenerationListener listener, StopStrings stop, const Tokenizer& tokenizer)
    : tokenizer_(tokenizer),
      strategy_(std::move(strategy)),
      rules_(std::move(rules)),
      listener_(std::move(listener)),
      stop_(std::move(stop)),
      stream_(tokenizer, /*with_control=*/false, /*mid_text=*/true) {}

int64_t Generation::budget() const {
  const int64_t rest = rules_.context - strategy_->sequence().prompt_tokens;
  return rules_.max_tokens < 0 ? rest : std::min(rest, rules_.max_tokens);
}

void Generation::StartClock() {
  if (started_ < 0.0) started_ = Seconds();
}

void Generation::Take(int64_t rows) {
  if (tokens_.empty()) times_.prompt_rows += rows;
  std::vector<ChosenToken> chosen;
  if (auto committed = strategy_->Commit(chosen); !committed) return Fail(std::move(committed).error());
  if (tokens_.empty() && listener_.prompt) {
    const Sequence& sequence = strategy_->sequence();
    listener_.prompt(std::min(sequence.cached, sequence.prompt_tokens), sequence.prompt_tokens);
  }
  if (chosen.empty()) return;
  if (tokens_.empty()) times_.first_token_seconds = Seconds() - started_;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const bool room = static_cast<int64_t>(tokens_.size()) < budget();
    const bool goes_on = room && TakeToken(std::move(chosen[i]));
    if (goes_on) continue;
    const auto unwanted = static_cast<int64_t>(chosen.size() - i) - (room ? 1 : 0);
    if (unwanted > 0) strategy_->RollBack(unwanted);
    if (!room) Finish(FinishReason::kLength);
    return;
  }
  if (static_cast<int64_t>(tokens_.size()) >= budget()) Finish(FinishReason::kLength);
}

bool Generation::TakeToken(ChosenToken token) {
  tokens_.push_back(std::move(token));
  if (listener_.token) listener_.token(tokens_.back());
  const TokenId id = tokens_.back().id;
  const bool ends = std::binary_search(rules_.ends.begin(), rules_.ends.end(), id);
  if (ends && !rules_.ignore_ends) {
    Finish(FinishReason::kStop);
    return false;
  }
  std::string safe;
  std::string piece = stream_.Push(id);
  if (std::binary_search(rules_.markers.begin(), rules_.markers.end(), id))
    piece += tokenizer_.TokenBytes(id);
  const bool stopped = stop_.Feed(piece, safe);
  Send(safe);
  if (stopped) Finish(FinishReason::kStop);
  return !stopped;
}

void Generation::Send(std::string_view text) {
  if (text.empty()) return;
  text_ += text;
  if (listener_.text) listener_.text(text);
}

void Generation::Finish(FinishReason reason) {
  if (stop_.matched().empty()) {
    std::string safe;
    const std::string tail = stream_.Finish();
    bool stopped = stop_.Feed(tail, safe);
    if (!stopped) stopped = stop_.Finish(safe);
    Send(safe);
    if (stopped && reason == FinishReason::kLength) reason = FinishReason::kStop;
  }
  finish_ = reason;
  times_.total_seconds = started_ < 0.0 ? 0.0 : Seconds() - started_;
}

void Generation::Fail(Error error) {
  error_ = std::move(error);
  Finish(FinishReason::kFailed);
}

}  // namespace hone
