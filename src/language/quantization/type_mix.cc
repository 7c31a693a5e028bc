#include "language/quantization/type_mix.h"

#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "core/base/text_distance.h"

namespace hone {
namespace {

constexpr std::array kMixes = {
    TypeMix{"Q4_0", DType::kQ4_0, MixSize::kPlain, 2},
    TypeMix{"Q4_1", DType::kQ4_1, MixSize::kPlain, 3},
    TypeMix{"Q5_0", DType::kQ5_0, MixSize::kPlain, 8},
    TypeMix{"Q5_1", DType::kQ5_1, MixSize::kPlain, 9},
    TypeMix{"Q8_0", DType::kQ8_0, MixSize::kPlain, 7},
    TypeMix{"Q2_K", DType::kQ2_K, MixSize::kMedium, 10},
    TypeMix{"Q2_K_S", DType::kQ2_K, MixSize::kSmall, 21},
    TypeMix{"Q3_K_S", DType::kQ3_K, MixSize::kSmall, 11},
    TypeMix{"Q3_K_M", DType::kQ3_K, MixSize::kMedium, 12},
    TypeMix{"Q3_K_L", DType::kQ3_K, MixSize::kLarge, 13},
    TypeMix{"Q4_K_S", DType::kQ4_K, MixSize::kSmall, 14},
    TypeMix{"Q4_K_M", DType::kQ4_K, MixSize::kMedium, 15},
    TypeMix{"Q5_K_S", DType::kQ5_K, MixSize::kSmall, 16},
    TypeMix{"Q5_K_M", DType::kQ5_K, MixSize::kMedium, 17},
    TypeMix{"Q6_K", DType::kQ6_K, MixSize::kPlain, 18},
    TypeMix{"IQ4_NL", DType::kIQ4_NL, MixSize::kPlain, 25},
    TypeMix{"IQ4_XS", DType::kIQ4_XS, MixSize::kPlain, 30},
    TypeMix{"F16", DType::kF16, MixSize::kPlain, 1},
    TypeMix{"BF16", DType::kBF16, MixSize::kPlain, 32},
    TypeMix{"F32", DType::kF32, MixSize::kPlain, 0},
};

enum class Role : uint8_t {
  kEmbedding,
  kHead,
  kQuery,
  kKey,
  kValue,
  kQueryKeyValue,
  kMixerOutput,
  kDown,
  kOther
};

Role RoleOf(std::string_view name) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (name == "output.weight") return Role::kHead;
  if (name == "token_embd.weight") return Role::kEmbedding;
  if (has("attn_qkv.weight")) return Role::kQueryKeyValue;
  if (has("attn_v.weight")) return Role::kValue;
  if (has("attn_k.weight")) return Role::kKey;
  if (has("attn_q.weight")) return Role::kQuery;
  if (has("attn_output.weight")) return Role::kMixerOutput;
  if (has("ffn_down")) return Role::kDown;
  return Role::kOther;
}

bool IsMatrix(const NamedShape& tensor) {
  const auto has = [&](std::string_view part) { return tensor.name.find(part) != std::string_view::npos; };
  return tensor.shape.size() >= 2 && tensor.name.ends_with("weight") && !has("_norm.weight") &&
         !has("ffn_gate_inp.weight");
}

// The number in "blk.N.", 0 where there is none.
int LayerOf(std::string_view name) {
  int layer = 0;
  if (name.starts_with("blk.")) std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  return layer;
}

// The first and the last eighth of the layers and every third between them.
bool GetsMoreBits(int layer, int layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

// Tells the mixes apart in the rules below.
struct MixRules {
  const TypeMix& mix;
  const MixedModel& model;
  int value_tensors = 0;  // of the model: value matrices, joined ones included

  bool Is(DType base, MixSize size) const { return mix.base == base && mix.size == size; }
  bool IsNonlinear() const { return mix.base == DType::kIQ4_NL || mix.base == DType::kIQ4_XS; }
  bool SharesHeads() const { return model.kv_heads > 0 && model.heads / model.kv_heads >= 4; }

  DType Head(int64_t columns) const {
    if (columns % Info(mix.base).elements != 0 || mix.base == DType::kQ8_0) return DType::kQ8_0;
    return DType::kQ6_K;
  }

  // `rank`: which value matrix of the model it is, counted from the first layer.
  DType Value(int rank) const {
    if (mix.base == DType::kQ2_K) {
      if (SharesHeads()) return DType::kQ4_K;
      return mix.size == MixSize::kMedium ? DType::kQ3_K : mix.base;
    }
    if (Is(DType::kQ3_K, MixSize::kMedium)) return rank < 2 ? DType::kQ5_K : DType::kQ4_K;
    if (Is(DType::kQ3_K, MixSize::kLarge)) return DType::kQ5_K;
    if (IsNonlinear() && SharesHeads()) return DType::kQ5_K;
    const bool medium = Is(DType::kQ4_K, MixSize::kMedium) || Is(DType::kQ5_K, MixSize::kMedium);
    if (medium && GetsMoreBits(rank, value_tensors)) return DType::kQ6_K;
    if (Is(DType::kQ4_K, MixSize::kSmall) && rank < 4) return DType::kQ5_K;
    return mix.base;
  }

  DType Down(int layer) const {
    const int layers = model.layers;
    const bool early = layer < layers / 8;
    if (mix.base == DType::kQ2_K) {
      if (mix.size == MixSize::kMedium) return DType::kQ3_K;
      return early ? DType::kQ4_K : mix.base;
    }
    if (Is(DType::kQ3_K, MixSize::kMedium)) return layer < layers / 16 ? DType::kQ5_K : DType::kQ4_K;
    if (Is(DType::kQ3_K, MixSize::kLarge)) return DType::kQ5_K;
    const bool medium = Is(DType::kQ4_K, MixSize::kMedium) || Is(DType::kQ5_K, MixSize::kMedium);
    if (medium && GetsMoreBits(layer, layers)) return DType::kQ6_K;
    if (early && IsNonlinear() && !model.importance) return DType::kQ5_K;
    if (early && Is(DType::kQ4_K, MixSize::kSmall)) return DType::kQ5_K;
    if (early && model.importance && mix.base == DType::kQ4_0) return DType::kQ4_1;
    if (early && model.importance && mix.base == DType::kQ5_0) return DType::kQ5_1;
    return mix.base;
  }

  DType MixerOutput() const {
    if (Is(DType::kQ2_K, MixSize::kMedium)) return DType::kQ3_K;
    if (Is(DType::kQ3_K, MixSize::kMedium)) return DType::kQ4_K;
    if (Is(DType::kQ3_K, MixSize::kLarge)) return DType::kQ5_K;
    return mix.base;
  }
};

DType ByRules(const MixRules& rules, const NamedShape& tensor, int value_rank) {
  switch (RoleOf(tensor.name)) {
    case Role::kHead:
      return rules.Head(tensor.shape.back());
    case Role::kEmbedding:
      return rules.model.tied ? rules.Head(tensor.shape.back()) : rules.mix.base;
    case Role::kValue:
    case Role::kQueryKeyValue:
      return rules.Value(value_rank);
    case Role::kDown:
      return rules.Down(LayerOf(tensor.name));
    case Role::kMixerOutput:
      return rules.MixerOutput();
    default:
      return rules.mix.base;
  }
}

// For each value matrix the number of those in lower layers.
std::vector<int> ValueRanks(std::span<const NamedShape> tensors, int& count) {
  std::vector<int> layers;
  const auto is_value = [](const NamedShape& tensor) {
    const Role role = RoleOf(tensor.name);
    return role == Role::kValue || role == Role::kQueryKeyValue;
  };
  for (const NamedShape& tensor : tensors) {
    if (is_value(tensor)) layers.push_back(LayerOf(tensor.name));
  }
  std::ranges::sort(layers);
  count = static_cast<int>(layers.size());
  std::vector<int> ranks(tensors.size(), 0);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!is_value(tensors[i])) continue;
    ranks[i] = static_cast<int>(std::ranges::lower_bound(layers, LayerOf(tensors[i].name)) - layers.begin());
  }
  return ranks;
}

// The type that the user gave to the tensor of this name; the last one that matches.
Result<std::optional<DType>> ForcedType(const NamedShape& tensor, const ForcedTypes& forced,
                                        std::vector<bool>& used) {
  std::optional<DType> type;
  for (size_t i = 0; i < forced.size(); ++i) {
    if (fnmatch(forced[i].first.c_str(), std::string(tensor.name).c_str(), 0) != 0) continue;
    used[i] = true;
    type = forced[i].second;
  }
  if (!type) return type;
  const int elements = Info(*type).elements;
  if (tensor.shape.back() % elements != 0) {
    return WrongUsage("--tensor-type: {}: rows of {} values do not fit {}, which takes multiples of {}",
                      tensor.name, tensor.shape.back(), Info(*type).name, elements);
  }
  return type;
}

}  // namespace

std::span<const TypeMix> TypeMixes() { return kMixes; }

Result<TypeMix> FindTypeMix(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (upper == "Q3_K" || upper == "Q4_K" || upper == "Q5_K") upper += "_M";
  std::vector<std::string_view> names;
  for (const TypeMix& mix : kMixes) {
    if (mix.name == upper) return mix;
    names.push_back(mix.name);
  }
  return WrongUsage("quantize: --type: \"{}\", expected one of {}{}", name, fmt::join(names, " "),
                    Suggestion(upper, names));
}

DType SubstituteType(DType wanted, int64_t columns) {
  if (columns % Info(wanted).elements == 0) return wanted;
  DType instead = wanted;
  switch (wanted) {
    case DType::kIQ4_XS:
      instead = DType::kIQ4_NL;
      break;
    case DType::kQ2_K:
    case DType::kQ3_K:
      instead = DType::kQ4_0;
      break;
    case DType::kQ4_K:
      instead = DType::kQ5_0;
      break;
    case DType::kQ5_K:
      instead = DType::kQ5_1;
      break;
    case DType::kQ6_K:
      instead = DType::kQ8_0;
      break;
    default:
      break;
  }
  return columns % Info(instead).elements == 0 ? instead : DType::kF16;
}

Result<std::vector<TypeChoice>> ChooseTypes(const TypeMix& mix, const MixedModel& model,
                                            std::span<const NamedShape> tensors, const ForcedTypes& forced,
                                            bool uniform) {
  MixRules rules{mix, model};
  const std::vector<int> ranks = ValueRanks(tensors, rules.value_tensors);
  const bool quantized = Info(mix.base).elements > 1;
  std::vector<bool> used(forced.size(), false);
  std::vector<TypeChoice> choices;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const NamedShape& tensor = tensors[i];
    if (!IsMatrix(tensor)) {
      choices.push_back({tensor.type, tensor.type});
      continue;
    }
    HONE_TRY(const std::optional<DType> type, ForcedType(tensor, forced, used));
    if (type) {
      choices.push_back({*type, *type, true});
      continue;
    }
    const DType wanted = quantized && !uniform ? ByRules(rules, tensor, ranks[i]) : mix.base;
    choices.push_back({SubstituteType(wanted, tensor.shape.back()), wanted});
  }
  for (size_t i = 0; i < forced.size(); ++i) {
    if (!used[i])
      return WrongUsage("--tensor-type: {}: no matrix of the model has this name", forced[i].first);
  }
  return choices;
}

}  // namespace hone
