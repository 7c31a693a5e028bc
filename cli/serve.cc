// hone serve MODEL: an OpenAI-compatible server.
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>

#include "cli/command.h"
#include "cli/model_options.h"
#include "core/base/log.h"
#include "core/kernels/cpu/cpu_target.h"
#include "language/serving/http/api_server.h"
#include "language/serving/http/http_server.h"
#include "language/serving/serving_engine.h"

namespace hone {
namespace {

struct Options {
  ModelOptions model;
  HttpServerOptions http;
  ServingOptions serving;
  ApiOptions api;
  uint64_t kv_budget = 0;
  double ttft_ms = 500.0;
  double tpot_ms = 50.0;
  std::string api_key_file;
  bool no_prefix_cache = false;
  std::string prefix_file;
  double unload_minutes = 0.0;  // 0: never
  double drain_seconds = 30.0;
};

// Waits for SIGINT and SIGTERM in a thread of its own; every other thread has them blocked. The first asks
// for an end, the second ends the program at once.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    std::thread([this] { Listen(); }).detach();
  }

  // Until a signal has come (true), Wake was called, or `seconds` have passed.
  bool Wait(double seconds) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return asked_ || woken_; });
    woken_ = false;
    return asked_;
  }
  void Wake() {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }
  // From here on the first signal is heeded; before it ends the program, which has nothing to finish.
  void Heed() {
    const std::lock_guard lock(mutex_);
    heeded_ = true;
  }

 private:
  void Listen() {
    for (int count = 1;; ++count) {
      int signal = 0;
      sigwait(&set_, &signal);
      const std::lock_guard lock(mutex_);
      if (count > 1 || !heeded_) _exit(count > 1 ? 130 : 0);
      asked_ = true;
      changed_.notify_all();
    }
  }

  sigset_t set_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool asked_ = false;
  bool woken_ = false;
  bool heeded_ = false;
};

Result<std::vector<std::string>> ReadKeys(const std::string& path) {
  std::ifstream file(path);
  if (!file) return BadInput(path, "file", "cannot be read");
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    LogWarning("{}: others than its owner can read the API keys (chmod 600)", path);
  }
  std::vector<std::string> keys;
  for (std::string line; std::getline(file, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    line.erase(0, line.find_first_not_of(" \t"));
    if (line.empty() || line[0] == '#') continue;
    keys.push_back(line);
  }
  if (keys.empty()) return BadInput(path, "keys", "none found, expected one a line");
  return keys;
}

// A quarter of the machine's memory, where nothing was asked for.
uint64_t DefaultKvBudget() {
  const auto pages = static_cast<uint64_t>(std::max<long>(sysconf(_SC_PHYS_PAGES), 1));
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE)) / 4;
}

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::string Address(const Options& options, uint16_t port) {
  const bool tls = !options.http.tls_certificate.empty();
  const bool v6 = options.http.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", tls ? "https" : "http", v6 ? "[" : "", options.http.host,
                     v6 ? "]" : "", port);
}

void Announce(const Options& options, const HttpServer& http) {
  const bool loopback = IsLoopback(options.http.host);
  fmt::print("listening on {}{}\n", Address(options, http.port()),
             loopback ? " (this machine only; --host 0.0.0.0 opens it to others)" : "");
  if (!loopback && options.api.api_keys.empty()) {
    LogWarning("whoever reaches {} can use the model: --api-key-file FILE asks for keys", options.http.host);
  }
  if (!loopback && options.http.tls_certificate.empty()) {
    LogWarning(
        "keys and prompts travel in the clear: --tls-certificate and --tls-key, or a proxy, protect them");
  }
  std::fflush(stdout);
}

struct Served {
  std::shared_ptr<Engine> engine;
  std::shared_ptr<ServingEngine> serving;
};

// What is wrong with the file is told, and the cache starts empty.
void LoadPrefixes(const std::string& path, ServingEngine& serving) {
  if (path.empty()) return;
  const auto loaded = serving.LoadPrefixes(path);
  if (!loaded) return LogWarning("{}; the prefix cache starts empty", loaded.error().message);
  fmt::print("{}: {} prefixes of {} tokens\n", path, loaded->prefixes, loaded->tokens);
}

void SavePrefixes(const std::string& path, ServingEngine& serving) {
  if (path.empty()) return;
  const auto saved = serving.SavePrefixes(path);
  if (!saved) return LogWarning("{}; the prefix cache is not saved", saved.error().message);
  fmt::print("{}: saved {} prefixes of {} tokens\n", path, saved->prefixes, saved->tokens);
}

Result<Served> Load(const Options& options, const std::string& path, const Plan& plan) {
  HONE_CHECK_OK(InitCpuTarget());
  MemoryLimits limits;
  limits.kv = options.kv_budget;
  Served served;
  served.engine = std::make_shared<Engine>(options.model.ThreadCount(), limits);
  LoadOptions load;
  load.chat_template_file = options.model.chat_template;
  load.progress = true;
  load.context = options.serving.context;
  load.rope_scaling = options.model.rope_scaling;
  HONE_TRY(auto model, LoadModel(path, *served.engine, load));
  for (const std::string& warning : model->tokenizer().warnings()) LogWarning("{}: {}", path, warning);
  ServingOptions serving = options.serving;
  serving.plan = plan;
  HONE_TRY(served.serving, ServingEngine::Create(served.engine, std::move(model), serving));
  LoadPrefixes(options.prefix_file, *served.serving);
  return served;
}

template <class Done>
bool WaitUntil(double seconds, Done done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

// The model while the server runs: let go when nobody has asked for it for a while, loaded again for the
// next request.
class ModelKeeper {
 public:
  ModelKeeper(const Options& options, std::string path, Plan plan, ApiServer& api, StopSignals& signals)
      : options_(options), path_(std::move(path)), plan_(std::move(plan)), api_(api), signals_(signals) {}

  Result<void> LoadNow() {
    HONE_TRY(served_, Load(options_, path_, plan_));
    api_.Serve(served_.serving);
    wanted_ = false;  // nobody waits any more
    return {};
  }
  // Null while the model is unloaded.
  ServingEngine* serving() const { return served_.serving.get(); }
  bool idle() const { return !served_.serving || served_.serving->idle(); }

  // Until the program is asked to end.
  void Keep() {
    const double limit = options_.unload_minutes * 60.0;
    constexpr double kForever = 1e6;
    const double period = limit > 0.0 ? std::min(1.0, limit / 4) : kForever;
    while (!signals_.Wait(served_.serving ? period : kForever)) {
      if (wanted_) {
        fmt::print("loading {} again\n", options_.api.model_name);
        if (const auto loaded = LoadNow(); !loaded) {
          LogWarning("{}", loaded.error().message);
          api_.FailWaiting(loaded.error());
        }
      } else if (limit > 0.0 && served_.serving && served_.serving->idle() && api_.idle_seconds() > limit) {
        Unload();
      }
      std::fflush(stdout);
    }
  }

 private:
  void Unload() {
    api_.Unload([this] {
      wanted_ = true;
      signals_.Wake();
    });
    // A request that came at the last moment still has the engine.
    while (served_.serving.use_count() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    SavePrefixes(options_.prefix_file, *served_.serving);
    served_ = {};
    fmt::print("{} is unloaded: no request for {} minutes\n", options_.api.model_name,
               options_.unload_minutes);
  }

  const Options& options_;
  const std::string path_;
  const Plan plan_;
  ApiServer& api_;
  StopSignals& signals_;
  Served served_;
  std::atomic<bool> wanted_{false};
};

// Answers under way go on, until they are done or the limit has come.
void Drain(const Options& options, HttpServer& http, ApiServer& api, const ModelKeeper& keeper) {
  const auto quiet = [&] { return keeper.idle() && http.exchanges() == 0; };
  if (!quiet()) {
    fmt::print(stderr, "finishing {} requests; a second signal ends at once\n", http.exchanges());
  }
  api.Drain();
  http.StopAccepting();
  if (WaitUntil(options.drain_seconds, quiet)) return;
  if (keeper.serving() != nullptr) keeper.serving()->CancelAll();
  constexpr double kLastWords = 2.0;  // for the step under way, and for telling the clients
  if (WaitUntil(kLastWords, quiet)) return;
  std::fflush(stdout);
  _exit(0);  // in the middle of a step that is too long to wait for
}

Result<void> Run(Options options) {
  StopSignals signals;
  ::signal(SIGPIPE, SIG_IGN);
  options.serving.objectives = {.ttft_seconds = options.ttft_ms / 1e3, .tpot_seconds = options.tpot_ms / 1e3};
  options.serving.mode = options.model.exact ? NumericMode::kExact : NumericMode::kFast;
  options.serving.prefix_cache = !options.no_prefix_cache;
  if (options.kv_budget == 0)
    options.kv_budget = options.model.kv_limit > 0 ? options.model.kv_limit : DefaultKvBudget();
  if (options.no_prefix_cache && !options.prefix_file.empty()) {
    return WrongUsage("--no-prefix-cache: not together with --prefix-cache");
  }
  HONE_CHECK_OK(MakeScheduler(options.serving.schedule, options.serving.objectives));
  if (!options.api_key_file.empty()) {
    HONE_TRY(options.api.api_keys, ReadKeys(options.api_key_file));
  }
  HONE_TRY(Plan plan, FindPlan(options.model));
  HONE_TRY(const std::string path, FindModel(options.model));
  if (options.api.model_name.empty()) {
    options.api.model_name = std::filesystem::path(options.model.model).stem().string();
  }
  // In the order of their lives: connections end first, then the model, then the routes.
  ApiServer api(options.api);
  ModelKeeper keeper(options, path, std::move(plan), api, signals);
  HONE_TRY(const auto http, HttpServer::Start(options.http, [&api](std::shared_ptr<HttpExchange> exchange) {
             api.Handle(std::move(exchange));
           }));
  Announce(options, *http);
  HONE_CHECK_OK(keeper.LoadNow());
  signals.Heed();
  fmt::print("{} is ready: schedule {}, {} tokens of context, {} MiB for keys and values\n",
             options.api.model_name, keeper.serving()->schedule(), keeper.serving()->context(),
             options.kv_budget >> 20);
  std::fflush(stdout);
  keeper.Keep();
  Drain(options, *http, api, keeper);
  if (keeper.serving() != nullptr) SavePrefixes(options.prefix_file, *keeper.serving());
  return {};
}

// "500", "500ms" or "0.5s", as milliseconds.
CLI::Validator Milliseconds() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        double factor = 1.0;
        std::string number = text;
        if (number.ends_with("ms")) {
          number.resize(number.size() - 2);
        } else if (number.ends_with("s")) {
          number.resize(number.size() - 1);
          factor = 1000.0;
        }
        char* end = nullptr;
        const double value = std::strtod(number.c_str(), &end);
        if (number.empty() || *end != 0 || !(value > 0.0)) return "expected a time such as 500ms";
        text = fmt::format("{}", value * factor);
        return {};
      },
      "TIME");
}

}  // namespace

Action AddServe(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  options->http.port = 8080;
  AddModelOptions(app, options->model);
  app.add_option("--host", options->http.host, "Address to listen on (default 127.0.0.1: this machine only)");
  app.add_option("--port", options->http.port, "Port (default 8080; 0: a free one, which is printed)");
  app.add_option("--schedule", options->serving.schedule,
                 "prefill-first, chunked:N, static:X,Y, semi-pd (default) or disaggregated");
  app.add_option("--kv-budget", options->kv_budget,
                 "Most bytes of keys and values, such as 2GB (default: a quarter of the memory)")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--ttft", options->ttft_ms, "Time to first token to keep, such as 500ms (semi-pd)")
      ->transform(Milliseconds());
  app.add_option("--tpot", options->tpot_ms, "Time per output token to keep, such as 50ms (semi-pd)")
      ->transform(Milliseconds());
  app.add_option("--api-key-file", options->api_key_file, "Ask for one of the keys in this file, one a line");
  app.add_option("--alias", options->api.model_name,
                 "What clients call the model (default: the file's name)");
  app.add_option("--context", options->serving.context, "Most tokens of one prompt and answer together")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--batch", options->serving.batch, "Most answers that are written at once (default 64)")
      ->check(CLI::Range(1, 4096));
  app.add_option("--chunk", options->serving.step_rows, "Most rows of one forward pass (default 512)")
      ->check(CLI::Range(1, 1 << 16));
  app.add_option("--max-waiting", options->serving.max_waiting,
                 "Requests in the queue beyond which more are refused with 429 (default 256)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--swap-space", options->serving.swap_bytes,
                 "Memory beside the KV budget to which preempted answers are copied, such as 1GB; 0: they "
                 "are recomputed (default)")
      ->transform(CLI::AsSizeValue(false));
  app.add_flag("--no-prefix-cache", options->no_prefix_cache, "Read every prompt whole");
  app.add_option("--prefix-cache", options->prefix_file,
                 "File in which the prefix cache is kept from one run to the next");
  app.add_option("--unload-after", options->unload_minutes,
                 "Minutes without a request after which the model is let go; the next request loads it again")
      ->check(CLI::PositiveNumber);
  app.add_option("--max-body", options->http.body_bytes, "Most bytes of a request (default 32MB)")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--max-prompt-tokens", options->api.most_prompt_tokens, "Most tokens of a prompt")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--max-answer-tokens", options->api.most_answer_tokens, "Most tokens of an answer")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--time-limit", options->api.request_seconds,
                 "Seconds after which an answer ends with what it has")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--requests-per-key", options->api.requests_per_key,
                 "Requests that one key may have under way")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--tls-certificate", options->http.tls_certificate, "PEM file: speak HTTPS");
  app.add_option("--tls-key", options->http.tls_key, "PEM file of the certificate's key");
  app.add_option("--drain-seconds", options->drain_seconds,
                 "After SIGTERM, how long answers under way may go on (default 30)")
      ->check(CLI::NonNegativeNumber);
  return [options] { return Run(*options); };
}

}  // namespace hone
