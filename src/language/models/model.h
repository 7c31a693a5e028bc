// Model: immutable weights, shared between threads. A family is one file; its forward pass is driven piece by
// piece.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/memory_account.h"
#include "core/formats/tokenizer/tokenizer.h"
#include "core/kernels/matmul.h"
#include "core/kernels/rope_table.h"
#include "language/kvcache/kv_cache.h"
#include "language/models/model_config.h"
#include "language/models/operators.h"

namespace hone {

class Forward;
struct Plan;

// The rotations of a model: of full-attention layers, by LongRopeSet (the same where there is but one), and
// of sliding-window layers.
struct RopeTables {
  std::array<RopeFrequencies, 2> global;
  RopeFrequencies local;
};
Result<RopeTables> MakeRopeTables(const ModelConfig& config, const std::string& path);

// A named projection: y = x W^T + bias.
struct Linear {
  std::string name;
  PackedMatrix weight;
  std::vector<float> bias;  // empty: none
  Operator op = Operator::kOther;
};

// A weight of a model and which operator reads it.
struct WeightInfo {
  std::string name;
  Operator op = Operator::kOther;
  DType type = DType::kF32;  // in the file
  int64_t rows = 0;          // 1 for a vector
  int64_t columns = 0;
  uint64_t bytes = 0;  // as it lies in memory
};

struct MemoryLimits {
  uint64_t weights = MemoryAccount::kUnlimited;
  uint64_t kv = MemoryAccount::kUnlimited;
  uint64_t scratch = MemoryAccount::kUnlimited;
};

// What models and runners draw from: memory accounts and threads.
struct Engine {
  explicit Engine(int threads = DefaultThreads(), const MemoryLimits& limits = {})
      : accounts{MemoryAccount("weights", limits.weights), MemoryAccount("KV cache", limits.kv),
                 MemoryAccount("scratch", limits.scratch)},
        pool(threads) {}
  MemoryAccounts accounts;
  ComputePool pool;
};

struct LoadOptions {
  std::string chat_template_file;  // takes the place of the model's own
  bool progress = false;           // a progress bar on standard error
  // Tokens that a sequence may hold; 0: the model's own limit. Beyond that limit the rotation is stretched by
  // YaRN with factor context / limit (or by rope_scaling), which costs quality: it is done only where it is
  // asked for.
  int64_t context = 0;
  std::string rope_scaling;    // "linear" or "yarn" in the place of what the file says; empty: the file's
  const Plan* plan = nullptr;  // of its parts those that act at load; null: none
};

class Model {
 public:
  virtual ~Model() = default;

  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const std::string& path() const { return path_; }
  const RopeTables& rope() const { return rope_; }
  // The template's source; empty where the model has none.
  const std::string& chat_template() const { return chat_template_; }
  uint64_t weight_bytes() const { return weight_bytes_; }
  // Bytes of packed weights that decoding one token reads (the head included, one row of an untied
  // embedding).
  uint64_t weight_bytes_per_token() const { return weight_bytes_per_token_; }

  // The names of the plan's parts that acted when it was loaded.
  std::span<const std::string_view> loaded_parts() const { return loaded_parts_; }

  // Every weight, in the order of loading; a tied embedding stands once, as the head.
  std::span<const WeightInfo> weights() const { return weights_; }

  // What no attention score of the layer exceeds in magnitude, whatever the text, where the family norms its
  // query and key heads: a norm's output has length sqrt(head_dim) max|g|, so |score| <= scale head_dim
  // max|g_q| max|g_k|, times the square of the rotation's magnitude.
  std::optional<float> score_bound(int layer) const {
    if (score_bounds_.empty()) return std::nullopt;
    return score_bounds_[static_cast<size_t>(layer)];
  }

  // The weights of the norm before the head, [width].
  std::span<const float> output_norm() const { return output_norm_; }

  // The seams. Each works on the active rows of `forward`.
  virtual void Embed(Forward& forward) const;  // tokens -> hidden
  virtual void RunMixer(Forward& forward, int layer) const = 0;
  virtual void RunMlp(Forward& forward, int layer) const = 0;
  void RunLayer(Forward& forward, int layer) const {
    RunMixer(forward, layer);
    RunMlp(forward, layer);
  }
  // Logits of `hidden` [rows, width] for all tokens or, where given, for `ids`: [rows, vocabulary or
  // ids.size()].
  virtual void Head(Forward& forward, MatrixView<const float> hidden, std::span<const TokenId> ids,
                    MatrixView<float> logits) const;

  // An empty cache for one sequence: fp32 pages in exact mode, else fp16; windowed layers keep their window.
  KvCache MakeCache(std::shared_ptr<PagePool> pool, NumericMode mode) const;

 protected:
  friend class ModelBuilder;  // fills what all families share, in load_model.cc
  std::string path_;
  ModelConfig config_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string chat_template_;
  uint64_t weight_bytes_ = 0;
  uint64_t weight_bytes_per_token_ = 0;
  std::vector<Buffer> storage_;
  std::vector<std::unique_ptr<WeightFormat>> formats_;  // that belong to single matrices
  std::vector<std::string_view> loaded_parts_;
  std::vector<WeightInfo> weights_;
  std::vector<float> score_bounds_;  // [layers], or empty
  Linear embedding_;
  Linear head_;
  std::vector<float> output_norm_;
  RopeTables rope_;
};

// A GGUF file (any shard of a split set) or a Hugging Face folder. The weights are packed in blocks of rows
// straight from the mapping, whose pages are given back as soon as they are packed.
Result<std::shared_ptr<const Model>> LoadModel(const std::string& path, Engine& engine,
                                               const LoadOptions& options = {});

}  // namespace hone
