// Models and small runs for the tests of the engine.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "language/models/runner.h"
#include "language/models/sequence.h"

namespace hone::testing {

inline std::string TinyModel(const std::string& name) {
  return std::string(HONE_SOURCE_DIR) + "/tests/golden/models/" + name;
}

// A real model's file: in $HONE_TEST_MODELS or in the cache that `hone pull` fills; empty where there is
// none.
inline std::string RealModel(const std::string& file) {
  std::vector<std::string> folders;
  if (const char* folder = std::getenv("HONE_TEST_MODELS")) folders.emplace_back(folder);
  if (const char* cache = std::getenv("XDG_CACHE_HOME"))
    folders.push_back(std::string(cache) + "/hone/models");
  if (const char* home = std::getenv("HOME")) folders.push_back(std::string(home) + "/.cache/hone/models");
  for (const std::string& folder : folders) {
    if (std::filesystem::exists(folder + "/" + file)) return folder + "/" + file;
  }
  return "";
}

// An engine with one model, one runner and what a test asks of them.
struct TestEngine {
  explicit TestEngine(const std::string& path, NumericMode mode = NumericMode::kExact, int threads = 2,
                      int64_t max_rows = 512)
      : engine(threads), pool(PagePool::Create(engine.accounts.kv)), mode(mode) {
    auto loaded = LoadModel(path, engine);
    if (!loaded) {
      ADD_FAILURE() << loaded.error().message;
      return;
    }
    model = *loaded;
    auto created = Runner::Create(model, engine, {.mode = mode, .max_rows = max_rows});
    if (!created) {
      ADD_FAILURE() << created.error().message;
      return;
    }
    runner = std::move(*created);
  }

  Sequence MakeSequence(std::vector<TokenId> tokens) {
    const auto prompt = static_cast<int64_t>(tokens.size());
    return Sequence{model->MakeCache(pool, mode), std::move(tokens), prompt, 0, 0, false};
  }

  // Logits of every row of `batch` that wants them, in row order.
  std::vector<std::vector<float>> Run(const Batch& batch, const RunOptions& options = {}) {
    std::vector<std::vector<float>> logits;
    const Result<void> status = runner->Run(
        batch, [&](int64_t, std::span<float> row) { logits.emplace_back(row.begin(), row.end()); }, options);
    if (!status) ADD_FAILURE() << status.error().message;
    return logits;
  }

  // Logits at every position of `tokens`, fed in chunks of `chunk`.
  std::vector<std::vector<float>> AllLogits(const std::vector<TokenId>& tokens, int64_t chunk = 512) {
    Sequence sequence = MakeSequence(tokens);
    const RopeScaling& scaling = model->config().rope_scaling;
    sequence.long_rope =
        scaling.kind == RopeScalingKind::kLongRope && sequence.prompt_tokens > scaling.original_context;
    std::vector<std::vector<float>> logits;
    for (int64_t begin = 0; begin < sequence.prompt_tokens; begin += chunk) {
      Batch batch;
      AppendRows(sequence, begin, std::min(sequence.prompt_tokens, begin + chunk), false, true, batch);
      for (auto& row : Run(batch)) logits.push_back(std::move(row));
    }
    return logits;
  }

  Engine engine;
  std::shared_ptr<PagePool> pool;
  NumericMode mode;
  std::shared_ptr<const Model> model;
  std::unique_ptr<Runner> runner;
};

// Tokens that follow from a seed.
inline std::vector<TokenId> SomeTokens(int64_t count, TokenId vocabulary, uint32_t seed = 1) {
  std::vector<TokenId> tokens;
  uint32_t state = seed * 2654435761u + 12345u;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    tokens.push_back(static_cast<TokenId>((state >> 8) % static_cast<uint32_t>(vocabulary)));
  }
  return tokens;
}

}  // namespace hone::testing
