#include "language/models/model_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/safetensors/safetensors_folder.h"
#include "core/kernels/cpu/processor_key.h"
#include "language/models/model.h"

namespace hone {
namespace {

// Hashes values one after the other, each with its length where it has one.
class Hasher {
 public:
  Hasher() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_64bits_reset(state_.get()); }
  void Bytes(std::span<const std::byte> bytes) {
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
  }
  void Text(std::string_view text) {
    Number(text.size());
    Bytes(std::as_bytes(std::span(text)));
  }
  template <class T>
  void Number(T value) {
    Text64(static_cast<double>(value));
  }
  template <class T>
  void Numbers(const std::vector<T>& values) {
    Number(values.size());
    for (const T value : values) Number(value);
  }
  std::string Hex() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_.get())); }

 private:
  // Every number of a config is exact as a double; -0 is 0.
  void Text64(double value) {
    value += 0.0;
    Bytes(std::as_bytes(std::span(&value, 1)));
  }
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

void Add(const RopeScaling& scaling, Hasher& hasher) {
  hasher.Number(static_cast<int>(scaling.kind));
  for (const double value :
       {scaling.factor, static_cast<double>(scaling.original_context), scaling.attention_factor,
        scaling.beta_fast, scaling.beta_slow, scaling.mscale, scaling.mscale_all_dim,
        scaling.low_frequency_factor, scaling.high_frequency_factor})
    hasher.Number(value);
  for (const auto* factors : {&scaling.factors, &scaling.short_factors, &scaling.long_factors})
    hasher.Numbers(*factors);
}

std::string HashTensors(std::span<const FileTensor> tensors) {
  std::vector<const FileTensor*> sorted;
  for (const FileTensor& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(),
            [](const FileTensor* a, const FileTensor* b) { return a->name < b->name; });
  Hasher hasher;
  for (const FileTensor* tensor : sorted) {
    hasher.Text(tensor->name);
    hasher.Text(Info(tensor->type).name);
    hasher.Numbers(tensor->shape);
    hasher.Bytes(tensor->bytes());
    tensor->file->Drop(tensor->offset, tensor->size);
  }
  return hasher.Hex();
}

}  // namespace

std::string ArchitectureHash(const ModelConfig& config) {
  Hasher hasher;
  hasher.Text(config.family);
  for (const int64_t value :
       {static_cast<int64_t>(config.layers), static_cast<int64_t>(config.width),
        static_cast<int64_t>(config.heads), static_cast<int64_t>(config.kv_heads),
        static_cast<int64_t>(config.head_dim), static_cast<int64_t>(config.feed_forward), config.vocabulary,
        static_cast<int64_t>(config.rope_dimensions)})
    hasher.Number(value);
  for (const double value :
       {static_cast<double>(config.norm_epsilon), config.rope_base, config.local_rope_base,
        static_cast<double>(config.attention_scale), static_cast<double>(config.embedding_scale),
        static_cast<double>(config.logit_scale)})
    hasher.Number(value);
  hasher.Numbers(config.window);
  Add(config.rope_scaling, hasher);
  return hasher.Hex();
}

std::string TokenizerHash(const Tokenizer& tokenizer) {
  Hasher hasher;
  hasher.Number(tokenizer.vocabulary_size());
  for (TokenId id = 0; id < tokenizer.vocabulary_size(); ++id) {
    hasher.Text(tokenizer.TokenBytes(id));
    hasher.Number(tokenizer.IsControl(id) ? 1 : 0);
  }
  const SpecialTokens& special = tokenizer.special();
  for (const TokenId id : {special.bos, special.eos, special.eot, special.unknown, special.padding})
    hasher.Number(id);
  return hasher.Hex();
}

Result<std::string> WeightsHash(const std::string& path) {
  if (std::filesystem::is_directory(path)) {
    HONE_TRY(const SafetensorsFolder folder, SafetensorsFolder::Open(path));
    return HashTensors(folder.tensors());
  }
  HONE_TRY(const GgufFile file, GgufFile::Open(path));
  return HashTensors(file.tensors());
}

Result<std::string> CurrentKey(PlanKey key, const Model& model) {
  switch (key) {
    case PlanKey::kArchitecture:
      return ArchitectureHash(model.config());
    case PlanKey::kTokenizer:
      return TokenizerHash(model.tokenizer());
    case PlanKey::kWeights:
      return WeightsHash(model.path());
    case PlanKey::kProcessor:
      break;
  }
  return ProcessorKey();
}

}  // namespace hone
