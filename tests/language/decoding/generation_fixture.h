// A small model with random weights and what a test asks of it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/formats/gguf/random_model.h"
#include "language/decoding/plain_decoding.h"
#include "language/decoding/session.h"
#include "language/decoding/step_loop.h"

namespace hone::testing {

// A file that is there as long as the test program runs.
class RandomModelFile {
 public:
  RandomModelFile()
      : path_(std::filesystem::temp_directory_path() / ("hone-decoding-" + std::to_string(getpid()) + ".gguf")) {
    const auto written = WriteRandomModel("llama-tiny", DType::kF32, 1, path_.string());
    EXPECT_TRUE(written) << written.error().message;
  }
  ~RandomModelFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::string RandomModelPath() {
  static const RandomModelFile file;
  return file.path();
}

// An engine with the random model.
struct TinyEngine {
  explicit TinyEngine(int64_t max_rows = 64, NumericMode mode = NumericMode::kFast) {
    engine = std::make_shared<Engine>(2);
    auto loaded = LoadModel(RandomModelPath(), *engine);
    EXPECT_TRUE(loaded) << loaded.error().message;
    model = *loaded;
    auto created = Runner::Create(model, *engine, {.mode = mode, .max_rows = max_rows});
    EXPECT_TRUE(created) << created.error().message;
    runner = std::move(*created);
    pool = PagePool::Create(engine->accounts.kv);
  }

  std::unique_ptr<Sequence> MakeSequence(std::vector<TokenId> prompt) const {
    const auto count = static_cast<int64_t>(prompt.size());
    return std::make_unique<Sequence>(Sequence{.cache = model->MakeCache(pool, runner->options().mode),
                                               .tokens = std::move(prompt),
                                               .prompt_tokens = count});
  }

  std::shared_ptr<Engine> engine;
  std::shared_ptr<const Model> model;
  std::shared_ptr<PagePool> pool;
  std::unique_ptr<Runner> runner;
};

// A request and what came of it.
struct Request {
  std::vector<TokenId> prompt;
  SamplingOptions sampling;
  StopRules rules = {.max_tokens = 12, .context = 256};
  PlainDecodingOptions decoding;
  GenerationListener listener;

  std::unique_ptr<Sequence> sequence;
  std::shared_ptr<Generation> generation;

  Result<void> Start(TinyEngine& engine, StepLoop& loop) {
    if (!sampling.seed) sampling.seed = 5;
    sequence = engine.MakeSequence(prompt);
    HONE_TRY(Sampler sampler, Sampler::Create(sampling, engine.model->config().vocabulary));
    HONE_TRY(generation, Generation::Create(std::make_unique<PlainDecoding>(*engine.runner, *sequence,
                                                                            std::move(sampler), decoding),
                                            rules, listener, engine.model->tokenizer()));
    loop.Add(generation);
    return {};
  }
  std::vector<TokenId> Tokens() const {
    std::vector<TokenId> ids;
    for (const ChosenToken& token : generation->tokens()) ids.push_back(token.id);
    return ids;
  }
};

inline std::vector<TokenId> SomePrompt(int64_t length, TokenId first) {
  std::vector<TokenId> prompt;
  for (int64_t i = 0; i < length; ++i)
    prompt.push_back(static_cast<TokenId>((first + 37 * i * i + 11 * i) % 250));
  return prompt;
}

}  // namespace hone::testing
