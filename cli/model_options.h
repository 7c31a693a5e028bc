// The flags that mean the same in every command that runs a model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/formats/plan/plan.h"

namespace CLI {
class App;
}

namespace hone {

struct ModelOptions {
  std::string model;   // as typed: a path, a short name, hf:owner/repo/file or a URL that was pulled
  bool exact = false;  // float activations and float KV
  int threads = 0;     // 0: DefaultThreads()
  std::vector<std::string> plans;  // folders
  std::string chat_template;       // file, empty: the model's own
  std::string rope_scaling;        // "linear" or "yarn", empty: the file's
  uint64_t kv_limit = 0;           // bytes of keys and values, 0: no limit

  int ThreadCount() const;
};

// Adds MODEL, --exact, --threads, --plan, --chat-template, --rope-scaling and --kv-limit; `options` outlives
// `app`.
void AddModelOptions(CLI::App& app, ModelOptions& options);

// The path of the model's file or folder; refuses a name that is neither that nor a model that was pulled.
Result<std::string> FindModel(const ModelOptions& options);

// The parts of all --plan folders. Refuses a part that nothing in this program acts on.
Result<Plan> FindPlan(const ModelOptions& options);

}  // namespace hone
