#include "language/serving/serving_engine.h"

#include <chrono>

#include "language/decoding/constraints/grammar_processor.h"
#include "language/models/model_hash.h"
#include "language/models/plan_use.h"

namespace hone {
namespace {

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

SteadyClock::SteadyClock() : start_(SteadySeconds()) {}
double SteadyClock::Now() const { return SteadySeconds() - start_; }

std::function<Result<std::unique_ptr<DecodingStrategy>>(Runner&, Sequence&)> PlainStrategy(
    const SamplingOptions& sampling, const PlainDecodingOptions& decoding,
    std::shared_ptr<TokenMasks> masks) {
  return [sampling, decoding, masks](Runner& runner,
                                     Sequence& sequence) -> Result<std::unique_ptr<DecodingStrategy>> {
    HONE_TRY(Sampler sampler, Sampler::Create(sampling, runner.model().config().vocabulary));
    if (masks) sampler.AddProcessor(std::make_unique<GrammarProcessor>(masks));
    return std::make_unique<PlainDecoding>(runner, sequence, std::move(sampler), decoding);
  };
}

Result<std::unique_ptr<ServingEngine>> ServingEngine::Create(std::shared_ptr<Engine> engine,
                                                             std::shared_ptr<const Model> model,
                                                             const ServingOptions& options) {
  std::unique_ptr<ServingEngine> serving(new ServingEngine());
  serving->options_ = options;
  if (options.context == 0) serving->options_.context = model->config().context;
  HONE_TRY(serving->scheduler_, MakeScheduler(options.schedule, options.objectives));
  ModelExecutorOptions executor;
  executor.mode = options.mode;
  executor.lanes = serving->scheduler_->lanes();
  executor.separate_pools = serving->scheduler_->separate_pools();
  executor.step_rows = options.step_rows;
  executor.prefix_cache = options.prefix_cache;
  executor.swap_bytes = options.swap_bytes;
  for (const auto& [name, part] : options.plan.parts) {
    serving->plan_ += fmt::format("{} {} ", name, std::hash<std::string>()(part.settings));
    for (const auto& [tensor, values] : part.tensors) {
      const std::string_view bytes(reinterpret_cast<const char*>(values.bytes.data()), values.bytes.size());
      serving->plan_ += fmt::format("{:x} ", std::hash<std::string_view>()(bytes));
    }
  }
  HONE_CHECK_OK(UsePlan(options.plan, *model, executor.runner));
  HONE_TRY(serving->executor_, ModelExecutor::Create(model, *engine, executor));
  DispatcherOptions dispatcher;
  dispatcher.limits = {.step_rows = serving->executor_->step_rows(),
                       .batch = std::min(options.batch, serving->executor_->step_rows())};
  dispatcher.max_waiting = options.max_waiting;
  serving->dispatcher_ =
      std::make_unique<Dispatcher>(serving->clock_, *serving->executor_, *serving->scheduler_, dispatcher);
  serving->executor_->Attach(*serving->dispatcher_);
  serving->engine_ = std::move(engine);
  serving->model_ = std::move(model);
  return serving;
}

ServingEngine::~ServingEngine() {
  // Lanes end with the step they are in; whoever still waits hears that it was cancelled.
  if (dispatcher_) dispatcher_->CancelAll();
  executor_.reset();
}

// Equal where the entries of equal tokens have equal bits.
Result<void> ServingEngine::FindMadeFor() {
  if (!made_for_.empty()) return {};
  HONE_TRY(const std::string weights, CurrentKey(PlanKey::kWeights, *model_));
  HONE_TRY(const std::string architecture, CurrentKey(PlanKey::kArchitecture, *model_));
  HONE_TRY(const std::string processor, CurrentKey(PlanKey::kProcessor, *model_));
  made_for_ =
      fmt::format("{} {} {} {} {}", weights, architecture, processor, static_cast<int>(options_.mode), plan_);
  return {};
}

Result<PrefixFileCounts> ServingEngine::LoadPrefixes(const std::string& path) {
  HONE_CHECK_OK(FindMadeFor());
  return hone::LoadPrefixes(executor_->prefixes(), path, made_for_,
                            [this] { return executor_->MakeCache(); });
}

Result<PrefixFileCounts> ServingEngine::SavePrefixes(const std::string& path) {
  HONE_CHECK_OK(FindMadeFor());
  return hone::SavePrefixes(executor_->prefixes(), path, made_for_, executor_->kv_limit());
}

Result<std::variant<JobId, Refusal>> ServingEngine::Submit(ModelJob job, JobRequest request) {
  const JobId id = next_.fetch_add(1);
  const auto prompt = static_cast<int64_t>(job.prompt.size());
  const TokenId vocabulary = static_cast<TokenId>(model_->config().vocabulary);
  for (const TokenId token : job.prompt) {
    if (token < 0 || token >= vocabulary) {
      return WrongUsage("prompt: found token {}, expected ids from 0 to {}", token, vocabulary - 1);
    }
  }
  job.rules.context = options_.context;
  request.prompt_tokens = prompt;
  const int64_t rest = options_.context - prompt;
  request.answer_tokens = job.rules.max_tokens < 0 ? rest : std::min(rest, job.rules.max_tokens);
  HONE_CHECK_OK(executor_->Add(id, std::move(job)));
  if (auto refusal = dispatcher_->Submit(id, request)) {
    executor_->Forget(id);
    return std::variant<JobId, Refusal>(*refusal);
  }
  return std::variant<JobId, Refusal>(id);
}

}  // namespace hone
