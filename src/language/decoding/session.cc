#include "language/decoding/session.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/downloads/model_cache.h"
#include "language/decoding/constraints/grammar_processor.h"
#include "language/decoding/plain_decoding.h"
#include "language/decoding/step_loop.h"
#include "language/models/plan_use.h"

namespace hone {

double Answer::prefill_tokens_per_second() const {
  return times.first_token_seconds > 0.0 ? static_cast<double>(times.prompt_rows) / times.first_token_seconds
                                         : 0.0;
}

double Answer::decode_tokens_per_second() const {
  const double seconds = times.total_seconds - times.first_token_seconds;
  return tokens.size() > 1 && seconds > 0.0 ? static_cast<double>(tokens.size() - 1) / seconds : 0.0;
}

Result<Session> Session::Load(const std::string& name, const LoadOptions& load,
                              const SessionOptions& options) {
  auto engine = std::make_shared<Engine>();
  HONE_TRY(const std::string path, ResolveModel(name));
  LoadOptions stretched = load;
  if (stretched.context == 0) stretched.context = options.context;
  if (stretched.plan == nullptr) stretched.plan = &options.plan;
  HONE_TRY(auto model, LoadModel(path, *engine, stretched));
  return Create(std::move(engine), std::move(model), options);
}

Result<Session> Session::Create(std::shared_ptr<Engine> engine, std::shared_ptr<const Model> model,
                                const SessionOptions& options) {
  if (options.context < 0)
    return WrongUsage("context: found {}, expected a count of tokens", options.context);
  if (options.chunk < 1) return WrongUsage("chunk: found {}, expected at least 1", options.chunk);
  Session session;
  session.options_ = options;
  if (options.context == 0) session.options_.context = model->config().context;
  RunnerOptions runner;
  runner.mode = options.mode;
  runner.max_rows = options.chunk;
  HONE_CHECK_OK(UsePlan(options.plan, *model, runner));
  HONE_TRY(session.runner_, Runner::Create(model, *engine, runner));
  session.pool_ = PagePool::Create(engine->accounts.kv);
  session.sequence_ =
      std::make_unique<Sequence>(Sequence{.cache = model->MakeCache(session.pool_, options.mode)});
  session.chat_ = ChatPrompt::Create(
      model->chat_template(), std::shared_ptr<const Tokenizer>(model, &model->tokenizer()), model->path());
  session.model_ = std::move(model);
  session.engine_ = std::move(engine);
  return session;
}

Result<const ChatPrompt*> Session::chat_prompt() const {
  if (!chat_) return tl::unexpected(chat_.error());
  return &*chat_;
}

Result<void> Session::Reset() {
  sequence_->cache = model_->MakeCache(pool_, options_.mode);
  sequence_->tokens.clear();
  sequence_->prompt_tokens = 0;
  sequence_->cached = 0;
  sequence_->long_rope = false;
  return {};
}

Result<int64_t> Session::ReusePrefix(std::span<const TokenId> prompt) {
  const auto& old = sequence_->tokens;
  const auto limit = std::min(sequence_->cached, static_cast<int64_t>(prompt.size()) - 1);
  int64_t shared = 0;
  while (shared < limit && old[static_cast<size_t>(shared)] == prompt[static_cast<size_t>(shared)]) ++shared;
  // A sliding window cannot be rolled back for ever: then the prompt is read anew.
  if (shared > 0 && sequence_->cache.TruncateToPosition(static_cast<int32_t>(shared))) return shared;
  HONE_CHECK_OK(Reset());
  return 0;
}

Result<Answer> Session::Complete(std::string_view text, const GenerateOptions& options) {
  return Generate(EncodePrompt(model_->tokenizer(), text), ends(), options);
}

Result<Answer> Session::Chat(std::span<const ChatMessage> messages, const GenerateOptions& options,
                             const ChatPromptOptions& prompt) {
  HONE_TRY(const ChatPrompt* chat, chat_prompt());
  HONE_TRY(Encoding encoding, chat->Encode(messages, prompt));
  return Generate(std::move(encoding), chat->ends(), options);
}

Result<Answer> Session::Chat(const nlohmann::ordered_json& messages, const GenerateOptions& options,
                             const ChatPromptOptions& prompt) {
  HONE_TRY(const ChatPrompt* chat, chat_prompt());
  HONE_TRY(Encoding encoding, chat->Encode(messages, prompt));
  return Generate(std::move(encoding), chat->ends(), options);
}

Result<Answer> Session::Generate(Encoding prompt, const std::vector<TokenId>& ends,
                                 const GenerateOptions& options) {
  const int64_t vocabulary = model_->config().vocabulary;
  for (const TokenId id : prompt.tokens) {
    if (id < 0 || id >= vocabulary) {
      return WrongUsage("prompt: found token {}, expected ids from 0 to {}", id, vocabulary - 1);
    }
  }
  HONE_TRY(Sampler sampler, Sampler::Create(options.sampling, vocabulary));
  if (options.constraint) {
    if (!token_table_) {
      token_table_ =
          std::make_shared<TokenTable>(std::shared_ptr<const Tokenizer>(model_, &model_->tokenizer()));
    }
    sampler.AddProcessor(std::make_unique<GrammarProcessor>(*options.constraint, token_table_, ends));
  }
  Answer answer;
  answer.seed = sampler.seed();
  answer.prompt = prompt.tokens;
  answer.dropped_bytes = prompt.dropped_bytes;
  if (options.prompt_top) HONE_CHECK_OK(Reset());  // every prompt row has to be run
  if (!prompt.tokens.empty()) {
    HONE_TRY(answer.reused_tokens, ReusePrefix(prompt.tokens));
  }
  sequence_->cached = answer.reused_tokens;
  sequence_->tokens = std::move(prompt.tokens);
  sequence_->prompt_tokens = static_cast<int64_t>(sequence_->tokens.size());

  PlainDecodingOptions plain;
  plain.top = options.top;
  plain.prompt_top = options.prompt_top;
  plain.log_probabilities = options.log_probabilities;
  auto strategy = std::make_unique<PlainDecoding>(*runner_, *sequence_, std::move(sampler), plain);
  const PlainDecoding& decoding = *strategy;
  StopRules rules;
  rules.max_tokens = options.max_tokens;
  rules.context = options_.context;
  rules.stop = options.stop;
  rules.ends = ends;
  rules.ignore_ends = options.ignore_ends;
  HONE_TRY(std::shared_ptr<Generation> generation,
           Generation::Create(std::move(strategy), std::move(rules), options.listener, model_->tokenizer()));

  const int64_t rows = runner_->options().max_rows;
  StepLoop loop({.rows = rows, .chunk = rows});
  loop.Add(generation);
  while (!loop.idle()) {
    if (options.cancel && options.cancel->load(std::memory_order_relaxed)) generation->Cancel();
    loop.Step();
  }
  if (generation->finish() == FinishReason::kFailed) return tl::unexpected(generation->error());
  answer.tokens = generation->tokens();
  answer.text = generation->text();
  answer.finish = generation->finish();
  answer.stop_string = generation->stop_string();
  answer.prompt_top = decoding.prompt_top();
  answer.times = generation->times();
  return answer;
}

}  // namespace hone
