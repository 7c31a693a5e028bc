#include "evaluation/explain/techniques.h"

namespace hone {
namespace {

std::string Join(uint8_t bits, std::span<const std::string_view> names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if ((bits >> i & 1) == 0) continue;
    text += (text.empty() ? "" : ", ") + std::string(names[i]);
  }
  return text;
}

template <class... Ops>
constexpr uint16_t Bits(Ops... ops) {
  return static_cast<uint16_t>((0u | ... | OperatorBit(ops)));
}

using Op = Operator;

constexpr uint16_t kLayerProducts = Bits(Op::kQueryKeyValue, Op::kOutput, Op::kGateUp, Op::kDown);
constexpr uint16_t kProducts = kLayerProducts | Bits(Op::kHead);
constexpr uint16_t kAttend = Bits(Op::kAttention);
constexpr uint16_t kCache = kAttend | Bits(Op::kKvAppend);

constexpr Technique kTechniques[] = {
    {"4-bit weights", Level::kModel, "compression", "quantization: weight only", kPrefill | kDecode, false,
     "a quantized file", kAccess | kCapacity, "weight format", "", "a Q4_0, Q4_1, Q4_K or IQ4 GGUF file",
     "reads a quarter of F16's bytes a weight", kProducts},
    {"2- to 8-bit weights", Level::kModel, "compression", "quantization: weight only", kPrefill | kDecode,
     false, "a quantized file", kAccess | kCapacity, "weight format", "4-bit weights",
     "a Q2_K to Q8_0 GGUF file", "reads 2.6 to 8.5 bits a weight instead of 16", kProducts},
    {"8-bit activations", Level::kModel, "compression", "quantization: weight and activation",
     kPrefill | kDecode, false, "quantized weights", kCompute, "numeric mode", "float activations",
     "fast mode, the default; --exact turns it off", "multiplies bytes instead of floats", kProducts},
    {"float activations", Level::kModel, "compression", "quantization: weight only", kPrefill | kDecode, true,
     "nothing", 0, "numeric mode", "8-bit activations, fp16 KV cache", "--exact",
     "the reference: what the file's weights mean, and slower", 0},
    {"fp16 KV cache", Level::kModel, "compression", "quantization: KV cache", kPrefill | kDecode, false,
     "nothing", kAccess | kCapacity, "KV store", "float activations", "fast mode, the default",
     "reads half of fp32's bytes an entry", kCache},
    {"grouped-query attention", Level::kModel, "structure", "efficient attention", kPrefill | kDecode, true,
     "a model made with it", kAccess | kCapacity, "the model's own", "", "by the model's file",
     "query heads share the keys and values that are read", kCache},
    {"sliding-window layers", Level::kModel, "structure", "efficient attention", kPrefill | kDecode, true,
     "a model made with it", kCompute | kAccess | kCapacity, "the model's own", "", "by the model's file",
     "most layers read and keep a window, not the whole context", kAttend},
    {"tiled online softmax", Level::kSystem, "engine", "attention operator", kPrefill | kDecode, true,
     "nothing", kCompute | kAccess, "attention kernel", "", "always on",
     "never writes the scores; grouped heads share each tile that is read", kAttend},
    {"softmax with a fixed maximum", Level::kSystem, "engine", "attention operator", kPrefill | kDecode, true,
     "calibration", kCompute, "attention kernel", "", "hone calibrate softmax, then --plan",
     "no running maximum; rows that leave its range are computed again (next to no gain on a CPU)", kAttend},
    {"packed products", Level::kSystem, "engine", "linear operator", kPrefill | kDecode, true, "nothing",
     kCompute | kAccess, "matmul kernel", "", "always on",
     "weights lie as the kernels read them; several rows share each weight that is read", kProducts},
    {"kernel table", Level::kSystem, "engine", "linear operator", kPrefill | kDecode, true, "nothing",
     kCompute | kAccess, "matmul kernel", "", "always on; hone tune kernels measures it for a machine",
     "chooses the kernel and the cut of each product by shape, rows and threads", kProducts},
    {"fused projections", Level::kSystem, "engine", "operator fusion", kPrefill | kDecode, true, "nothing",
     kCompute, "runner", "", "always on",
     "query, key and value, and gate and up, are one parallel product each",
     Bits(Op::kQueryKeyValue, Op::kGateUp)},
    {"logits of wanted rows only", Level::kSystem, "engine", "linear operator", kPrefill, true, "nothing",
     kCompute | kCapacity, "runner", "", "always on", "a prompt runs the head for its last token alone",
     Bits(Op::kHead, Op::kSampling)},
    {"paged KV cache", Level::kSystem, "serving", "memory", kServing, true, "nothing", kCapacity, "KV store",
     "", "always on; --kv-limit sets the limit",
     "memory follows the tokens that are there, not the context's limit", kCache},
    {"prefix reuse", Level::kSystem, "serving", "memory", kPrefill, true, "a shared beginning", kCompute,
     "session", "", "always on in hone chat and in a Session",
     "what the last prompt and answer share with the next prompt is not read again", kLayerProducts},
    {"continuous batching", Level::kSystem, "serving", "batching", kServing | kDecode, true,
     "several sequences at once", kAccess, "step loop", "", "StepLoop in the library; --batch in hone bench",
     "a step reads the weights once for all sequences", kProducts},
    {"chunked prefill", Level::kSystem, "serving", "batching", kServing | kPrefill, true, "nothing",
     kCapacity, "step loop", "", "--chunk",
     "a long prompt is read in pieces between the steps of other answers", kLayerProducts},
    {"semi-PD", Level::kSystem, "serving", "scheduling", kServing | kPrefill | kDecode, true, "nothing", 0,
     "schedule", "", "hone serve --schedule semi-pd, the default; --ttft and --tpot",
     "prompts and answers run side by side over one cache, on shares of the machine that follow the load", 0},
};

}  // namespace

std::string_view Name(Level level) {
  constexpr std::string_view kNames[] = {"data", "model", "system"};
  return kNames[static_cast<size_t>(level)];
}

std::string FactorNames(uint8_t factors) {
  constexpr std::string_view kNames[] = {"compute", "access", "capacity"};
  return Join(factors, kNames);
}

std::string StageNames(uint8_t stages) {
  constexpr std::string_view kNames[] = {"prefill", "decode", "serving"};
  return Join(stages, kNames);
}

std::span<const Technique> Techniques() { return kTechniques; }

std::vector<const Technique*> TechniquesFor(Operator op, Factor factor) {
  std::vector<const Technique*> found;
  for (const Technique& technique : Techniques()) {
    if ((technique.helps & OperatorBit(op)) != 0 && (technique.factors & factor) != 0)
      found.push_back(&technique);
  }
  return found;
}

}  // namespace hone
