#include "training/language/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"
#include "core/formats/gguf/gguf_writer.h"
#include "core/formats/safetensors/safetensors_writer.h"
#include "core/tensor/half.h"
#include "training/text/tokenizer_files.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct NamedShape {
  std::string name;  // Hugging Face's
  std::string gguf;
  std::vector<int64_t> shape;
  int64_t heads = 0;  // of a projection whose rows are rotated
};

std::vector<NamedShape> Shapes(const LanguageModelRecipe& r) {
  const int64_t width = r.width;
  const int64_t kv_width = r.width / r.heads * r.kv_heads;
  std::vector<NamedShape> shapes{{"model.embed_tokens.weight", "token_embd.weight", {r.vocabulary, width}}};
  for (int i = 0; i < r.layers; ++i) {
    const auto add = [&](const char* name, const char* gguf, std::vector<int64_t> shape, int64_t heads = 0) {
      shapes.push_back({fmt::format("model.layers.{}.{}.weight", i, name),
                        fmt::format("blk.{}.{}.weight", i, gguf), std::move(shape), heads});
    };
    add("input_layernorm", "attn_norm", {width});
    add("self_attn.q_proj", "attn_q", {width, width}, r.heads);
    add("self_attn.k_proj", "attn_k", {kv_width, width}, r.kv_heads);
    add("self_attn.v_proj", "attn_v", {kv_width, width});
    add("self_attn.o_proj", "attn_output", {width, width});
    add("post_attention_layernorm", "ffn_norm", {width});
    add("mlp.gate_proj", "ffn_gate", {r.feed_forward, width});
    add("mlp.up_proj", "ffn_up", {r.feed_forward, width});
    add("mlp.down_proj", "ffn_down", {width, r.feed_forward});
  }
  shapes.push_back({"model.norm.weight", "output_norm.weight", {width}});
  return shapes;
}

Result<const LoadedValues*> Find(std::span<const LoadedValues> weights, const NamedShape& wanted) {
  const auto found = std::ranges::find(weights, wanted.name, &LoadedValues::name);
  if (found == weights.end()) return Failed("{}: absent, expected among the trained weights", wanted.name);
  if (found->shape != wanted.shape)
    return Failed("{}: shape [{}], expected [{}]", wanted.name, fmt::join(found->shape, ", "),
                  fmt::join(wanted.shape, ", "));
  return &*found;
}

Result<void> WriteText(const std::string& text, const std::string& path) {
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(text))));
  return file.Commit();
}

// Rows (i, i + dim / 2) of a head become neighbours (2 i, 2 i + 1).
std::vector<float> NeighbourRows(const LoadedValues& weight, int64_t heads) {
  const int64_t columns = weight.shape[1];
  const int64_t dim = weight.shape[0] / heads;
  std::vector<float> rows(weight.values.size());
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t i = 0; i < dim; ++i) {
      const int64_t from = head * dim + (i % 2) * (dim / 2) + i / 2;
      std::copy_n(weight.values.begin() + from * columns, columns, rows.begin() + (head * dim + i) * columns);
    }
  }
  return rows;
}

Result<void> WriteValues(std::span<const float> values, DType type, GgufWriter& writer) {
  if (type == DType::kF32) return writer.Write(std::as_bytes(values));
  std::vector<uint16_t> halves(values.size());
  std::ranges::transform(values, halves.begin(), [](float value) { return F32ToF16(value); });
  return writer.Write(std::as_bytes(std::span(halves)));
}

}  // namespace

Result<void> ExportHuggingFace(const LanguageModelRecipe& recipe, std::span<const LoadedValues> weights,
                               const std::string& run_folder, const std::string& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) return Failed("{}: {}", folder, failure.message());
  std::vector<NewTensor> tensors;
  for (const NamedShape& wanted : Shapes(recipe)) {
    HONE_TRY(const LoadedValues* weight, Find(weights, wanted));
    tensors.push_back({wanted.name, DType::kF32, wanted.shape, std::as_bytes(std::span(weight->values))});
  }
  HONE_TRY(const std::string bytes, EncodeSafetensors(tensors));
  HONE_CHECK_OK(WriteText(bytes, folder + "/model.safetensors"));
  HONE_TRY(const BpeVocabulary vocabulary, ReadTrainedVocabulary(run_folder));
  HONE_CHECK_OK(WriteTokenizerFolder(vocabulary, folder));
  const Json config = {{"architectures", {"LlamaForCausalLM"}},
                       {"model_type", "llama"},
                       {"hidden_act", "silu"},
                       {"hidden_size", recipe.width},
                       {"intermediate_size", recipe.feed_forward},
                       {"num_hidden_layers", recipe.layers},
                       {"num_attention_heads", recipe.heads},
                       {"num_key_value_heads", recipe.kv_heads},
                       {"head_dim", recipe.width / recipe.heads},
                       {"vocab_size", recipe.vocabulary},
                       {"max_position_embeddings", recipe.context()},
                       {"rms_norm_eps", 1e-5},
                       {"rope_theta", recipe.rope_base},
                       {"attention_bias", false},
                       {"mlp_bias", false},
                       {"tie_word_embeddings", true},
                       {"bos_token_id", recipe.vocabulary - kControlTokenCount},
                       {"eos_token_id", recipe.vocabulary - kControlTokenCount + 1},
                       {"torch_dtype", "float32"}};
  return WriteText(config.dump(2) + "\n", folder + "/config.json");
}

Result<void> ExportGguf(const LanguageModelRecipe& recipe, std::span<const LoadedValues> weights,
                        const std::string& run_folder, DType type, const std::string& path) {
  if (type != DType::kF32 && type != DType::kF16)
    return WrongUsage("--type: {}, expected F32 or F16 (hone quantize makes smaller ones)", Info(type).name);
  GgufHeader header;
  header.SetText("general.architecture", "llama");
  header.SetText("general.name", "hone house model");
  header.Set("general.file_type", static_cast<uint32_t>(type == DType::kF16 ? 1 : 0));
  const auto set = [&](const char* key, int64_t value) { header.Set(key, static_cast<uint32_t>(value)); };
  set("llama.block_count", recipe.layers);
  set("llama.context_length", recipe.context());
  set("llama.embedding_length", recipe.width);
  set("llama.feed_forward_length", recipe.feed_forward);
  set("llama.attention.head_count", recipe.heads);
  set("llama.attention.head_count_kv", recipe.kv_heads);
  set("llama.rope.dimension_count", recipe.width / recipe.heads);
  set("llama.vocab_size", recipe.vocabulary);
  header.Set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  header.Set("llama.rope.freq_base", static_cast<float>(recipe.rope_base));
  HONE_TRY(const BpeVocabulary vocabulary, ReadTrainedVocabulary(run_folder));
  SetTokenizerKeys(vocabulary, header);
  const std::vector<NamedShape> shapes = Shapes(recipe);
  const auto stored = [&](const NamedShape& tensor) { return tensor.shape.size() == 1 ? DType::kF32 : type; };
  for (const NamedShape& tensor : shapes)
    HONE_CHECK_OK(header.AddTensor(tensor.gguf, stored(tensor), tensor.shape));
  HONE_TRY(GgufWriter writer, GgufWriter::Create(path, std::move(header)));
  for (const NamedShape& tensor : shapes) {
    HONE_TRY(const LoadedValues* weight, Find(weights, tensor));
    HONE_CHECK_OK(tensor.heads == 0
                      ? WriteValues(weight->values, stored(tensor), writer)
                      : WriteValues(NeighbourRows(*weight, tensor.heads), stored(tensor), writer));
  }
  return writer.Finish();
}

}  // namespace hone
