#include "language/models/operators.h"

#include <numeric>

namespace hone {
namespace {

constexpr std::array<std::string_view, kOperators> kNames = {"embedding",
                                                             "norm",
                                                             "query key value",
                                                             "rope",
                                                             "kv append",
                                                             "attention",
                                                             "output projection",
                                                             "gate up",
                                                             "activation",
                                                             "down",
                                                             "head",
                                                             "sampling",
                                                             "other"};

constexpr std::array<Operator, kOperators> kAll = {
    Operator::kEmbedding,  Operator::kNorm,      Operator::kQueryKeyValue, Operator::kRope,
    Operator::kKvAppend,   Operator::kAttention, Operator::kOutput,        Operator::kGateUp,
    Operator::kActivation, Operator::kDown,      Operator::kHead,          Operator::kSampling,
    Operator::kOther};

}  // namespace

std::string_view Name(Operator op) { return kNames[static_cast<size_t>(op)]; }

std::span<const Operator> AllOperators() { return kAll; }

Operator OperatorOfWeight(std::string_view name) {
  for (const std::string_view suffix : {".weight", ".bias"}) {
    if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
  }
  const std::string_view last = name.substr(name.rfind('.') + 1);
  if (last.ends_with("_norm")) return Operator::kNorm;
  if (last == "attn_q" || last == "attn_k" || last == "attn_v" || last == "attn_qkv")
    return Operator::kQueryKeyValue;
  if (last == "attn_output") return Operator::kOutput;
  if (last == "ffn_gate" || last == "ffn_up") return Operator::kGateUp;
  if (last == "ffn_down") return Operator::kDown;
  if (last == "output" || last == "token_embd") return Operator::kHead;
  return Operator::kOther;
}

double OperatorTimes::sum() const { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }

}  // namespace hone
