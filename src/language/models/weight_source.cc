#include "language/models/weight_source.h"

#include <array>

namespace hone {
namespace {

struct Renaming {
  std::string_view gguf, huggingface;
};

constexpr std::array kOutside = {
    Renaming{"token_embd", "model.embed_tokens"},
    Renaming{"output_norm", "model.norm"},
    Renaming{"output", "lm_head"},
};

constexpr std::array kInLayer = {
    Renaming{"attn_norm", "input_layernorm"},    Renaming{"attn_q", "self_attn.q_proj"},
    Renaming{"attn_k", "self_attn.k_proj"},      Renaming{"attn_v", "self_attn.v_proj"},
    Renaming{"attn_qkv", "self_attn.qkv_proj"},  Renaming{"attn_output", "self_attn.o_proj"},
    Renaming{"attn_q_norm", "self_attn.q_norm"}, Renaming{"attn_k_norm", "self_attn.k_norm"},
    Renaming{"ffn_gate", "mlp.gate_proj"},       Renaming{"ffn_down", "mlp.down_proj"},
};

}  // namespace

uint64_t GgufWeights::total_bytes() const {
  uint64_t bytes = 0;
  for (const FileTensor& tensor : file_.tensors()) bytes += tensor.size;
  return bytes;
}

FolderWeights::FolderWeights(SafetensorsFolder folder, std::string path, std::string family, bool tied)
    : folder_(std::move(folder)), path_(std::move(path)), family_(std::move(family)), tied_(tied) {
  for (const std::string_view prefix : {"language_model.", "model.language_model."}) {
    if (folder_.FindTensor(fmt::format("{}model.embed_tokens.weight", prefix)) != nullptr) prefix_ = prefix;
  }
}

std::string HuggingFaceName(std::string_view name, std::string_view family, std::string_view prefix) {
  const size_t dot = name.rfind('.');
  const std::string_view suffix = name.substr(dot);
  std::string_view stem = name.substr(0, dot);
  for (const Renaming& r : kOutside) {
    if (stem == r.gguf) return fmt::format("{}{}{}", prefix, r.huggingface, suffix);
  }
  if (!stem.starts_with("blk.")) return std::string(name);
  stem.remove_prefix(4);
  const size_t layer_end = stem.find('.');
  const std::string_view layer = stem.substr(0, layer_end);
  stem.remove_prefix(layer_end + 1);
  std::string_view own = stem;
  for (const Renaming& r : kInLayer) {
    if (stem == r.gguf) own = r.huggingface;
  }
  const bool gemma = family == "gemma3";
  if (stem == "ffn_norm") own = gemma ? "pre_feedforward_layernorm" : "post_attention_layernorm";
  if (stem == "post_attention_norm") own = "post_attention_layernorm";
  if (stem == "post_ffw_norm") own = "post_feedforward_layernorm";
  if (stem == "ffn_up") own = family == "phi3" ? "mlp.gate_up_proj" : "mlp.up_proj";
  return fmt::format("{}model.layers.{}.{}{}", prefix, layer, own, suffix);
}

std::string FolderWeights::OwnName(std::string_view name) const {
  return HuggingFaceName(name, family_, prefix_);
}

const FileTensor* FolderWeights::Find(std::string_view name) const {
  if (tied_ && name == "output.weight") return nullptr;
  return folder_.FindTensor(OwnName(name));
}

uint64_t FolderWeights::total_bytes() const {
  uint64_t bytes = 0;
  for (const FileTensor& tensor : folder_.tensors()) bytes += tensor.size;
  return bytes;
}

}  // namespace hone
