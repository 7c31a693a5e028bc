#include "language/conversion/folder_writer.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/base/output_file.h"
#include "core/formats/gguf/gguf_file.h"
#include "core/kernels/quantize/quantize.h"
#include "language/conversion/tokenizer_folder.h"
#include "language/models/model_config.h"
#include "language/models/weight_source.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct FamilyNames {
  std::string_view family, model_type, architecture;
};
constexpr FamilyNames kFamilyNames[] = {{"llama", "llama", "LlamaForCausalLM"},
                                        {"qwen2", "qwen2", "Qwen2ForCausalLM"},
                                        {"qwen3", "qwen3", "Qwen3ForCausalLM"},
                                        {"gemma3", "gemma3_text", "Gemma3ForCausalLM"},
                                        {"phi3", "phi3", "Phi3ForCausalLM"}};

// The double whose shortest spelling is the float's.
double Shortest(float value) { return std::strtod(fmt::format("{}", value).c_str(), nullptr); }

std::string_view TorchName(DType type) {
  return type == DType::kF32 ? "float32" : type == DType::kF16 ? "float16" : "bfloat16";
}

Json FactorList(const std::vector<float>& factors) {
  Json list = Json::array();
  for (const float factor : factors) list.push_back(Shortest(factor));
  return list;
}

Result<Json> ScalingJson(const ModelConfig& config, const std::string& path) {
  const RopeScaling& scaling = config.rope_scaling;
  switch (scaling.kind) {
    case RopeScalingKind::kNone:
      return Json();
    case RopeScalingKind::kLinear:
      return Json{{"rope_type", "linear"}, {"factor", scaling.factor}};
    case RopeScalingKind::kYarn: {
      Json yarn = {{"rope_type", "yarn"},
                   {"factor", scaling.factor},
                   {"original_max_position_embeddings", scaling.original_context},
                   {"beta_fast", scaling.beta_fast},
                   {"beta_slow", scaling.beta_slow}};
      if (scaling.attention_factor != 0.0) yarn["attention_factor"] = scaling.attention_factor;
      return yarn;
    }
    case RopeScalingKind::kLongRope:
      return Json{{"rope_type", "longrope"},
                  {"original_max_position_embeddings", scaling.original_context},
                  {"short_factor", FactorList(scaling.short_factors)},
                  {"long_factor", FactorList(scaling.long_factors)}};
    case RopeScalingKind::kLlama3:
      break;
  }
  // The file carries the factors themselves, from which the four numbers of config.json cannot be told.
  return BadInput(path, "rope_freqs.weight", "Llama 3 factors, which config.json cannot say");
}

Result<Json> ConfigJson(const ModelConfig& config, DType type, const std::string& path) {
  const FamilyNames* names = nullptr;
  for (const FamilyNames& family : kFamilyNames) {
    if (family.family == config.family) names = &family;
  }
  const bool gemma = config.family == "gemma3";
  HONE_TRY(const Json scaling, ScalingJson(config, path));
  Json json = {{"architectures", {names->architecture}},
               {"model_type", names->model_type},
               {"torch_dtype", TorchName(type)},
               {"vocab_size", config.vocabulary},
               {"hidden_size", config.width},
               {"intermediate_size", config.feed_forward},
               {"num_hidden_layers", config.layers},
               {"num_attention_heads", config.heads},
               {"num_key_value_heads", config.kv_heads},
               {"head_dim", config.head_dim},
               {"max_position_embeddings", config.context},
               {"rms_norm_eps", Shortest(config.norm_epsilon)},
               {"rope_theta", config.rope_base},
               {"rope_scaling", scaling},
               {"tie_word_embeddings", config.tied_embeddings},
               {gemma ? "hidden_activation" : "hidden_act", gemma ? "gelu_pytorch_tanh" : "silu"}};
  if (config.rope_dimensions != config.head_dim)
    json["partial_rotary_factor"] = static_cast<double>(config.rope_dimensions) / config.head_dim;
  if (config.rope_scaling.kind == RopeScalingKind::kLongRope)
    json["original_max_position_embeddings"] = config.rope_scaling.original_context;
  int window = 0;
  Json layers = Json::array();
  for (const int size : config.window) {
    window = std::max(window, size);
    layers.push_back(size > 0 ? "sliding_attention" : "full_attention");
  }
  json["sliding_window"] = window > 0 ? Json(window) : Json();
  if (gemma) {
    json["layer_types"] = layers;
    json["rope_local_base_freq"] = config.local_rope_base;
    json["query_pre_attn_scalar"] =
        std::round(1.0 / (static_cast<double>(config.attention_scale) * config.attention_scale));
  }
  return json;
}

// One tensor of the folder.
struct Part {
  const FileTensor* from = nullptr;
  std::string name;
  int64_t turned_head = 0;  // size of a head whose rows go from neighbours back to halves
  float offset = 0.0f;      // subtracted
};

// Rope vectors are numbers of config.json.
bool IsRopeVector(std::string_view name) { return name.starts_with("rope_"); }

std::vector<Part> ListParts(const GgufFile& file, const ModelConfig& config) {
  const float norm_offset = config.family == "gemma3" ? 1.0f : 0.0f;  // its folders store w - 1
  std::vector<Part> parts;
  for (const FileTensor& tensor : file.tensors()) {
    if (IsRopeVector(tensor.name)) continue;
    Part part{&tensor, HuggingFaceName(tensor.name, config.family, {})};
    const bool turned = tensor.name.find("attn_q.weight") != std::string::npos ||
                        tensor.name.find("attn_k.weight") != std::string::npos;
    if (config.family == "llama" && turned) part.turned_head = config.head_dim;
    if (tensor.name.ends_with("norm.weight")) part.offset = norm_offset;
    parts.push_back(std::move(part));
  }
  return parts;
}

std::string SafetensorsHeader(const std::vector<Part>& parts, DType type, uint64_t& bytes) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  bytes = 0;
  for (const Part& part : parts) {
    const auto size = static_cast<uint64_t>(part.from->elements() * Info(type).bytes);
    header[part.name] = {
        {"dtype", Info(type).name}, {"shape", part.from->shape}, {"data_offsets", {bytes, bytes + size}}};
    bytes += size;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

Result<void> WritePart(const Part& part, DType type, const std::string& path, OutputFile& file,
                       FolderReport& report) {
  const FileTensor& from = *part.from;
  const int64_t columns = from.columns();
  const int64_t row_bytes = RowBytes(from.type, columns);
  std::vector<float> values(static_cast<size_t>(columns));
  std::vector<std::byte> out(static_cast<size_t>(RowBytes(type, columns)));
  constexpr float kFirstBeyond = 65520.0f, kLargest = 65504.0f;
  for (int64_t row = 0; row < from.rows(); ++row) {
    int64_t source = row;
    if (part.turned_head > 0) {
      const int64_t in_head = row % part.turned_head, half = part.turned_head / 2;
      source = row - in_head + in_head % half * 2 + in_head / half;
    }
    WidenRows(from.type, from.bytes().data() + source * row_bytes, 1, columns, values.data());
    for (float& value : values) {
      if (!std::isfinite(value))
        return BadInput(path, from.name, "{} in row {}, expected finite numbers", value, source);
      value -= part.offset;
      if (type == DType::kF16 && std::fabs(value) >= kFirstBeyond) {
        value = std::copysign(kLargest, value);
        ++report.out_of_range;
      }
    }
    QuantizeRows(type, values.data(), 1, columns, nullptr, Rounding::kNearest, out.data());
    HONE_CHECK_OK(file.Write(out));
  }
  from.file->Drop(from.offset, from.size);
  return {};
}

Result<void> WriteText(const std::string& path, const std::string& text) {
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(text))));
  return file.Commit();
}

Result<FolderReport> WriteFiles(const GgufFile& file, const ModelConfig& config, DType type,
                                const std::string& folder,
                                const std::function<void(uint64_t, uint64_t)>& progress) {
  HONE_TRY(const Json json, ConfigJson(config, type, file.path()));
  HONE_CHECK_OK(WriteTokenizerFiles(file, folder));
  HONE_CHECK_OK(WriteText(folder + "/config.json", json.dump(2) + "\n"));
  const std::vector<Part> parts = ListParts(file, config);
  FolderReport report;
  const std::string header = SafetensorsHeader(parts, type, report.bytes);
  HONE_TRY(OutputFile tensors, OutputFile::Create(folder + "/model.safetensors"));
  HONE_CHECK_OK(tensors.Write(std::as_bytes(std::span(header))));
  for (const Part& part : parts) {
    HONE_CHECK_OK(WritePart(part, type, file.path(), tensors, report));
    ++report.tensors;
    if (progress) progress(tensors.size() - header.size(), report.bytes);
  }
  HONE_CHECK_OK(tensors.Commit());
  return report;
}

}  // namespace

Result<FolderReport> WriteModelFolder(const std::string& from, DType type, const std::string& to,
                                      const std::function<void(uint64_t done, uint64_t total)>& progress) {
  if (type != DType::kF32 && type != DType::kF16 && type != DType::kBF16)
    return WrongUsage("convert: type {}, which folders cannot hold, expected F32, F16 or BF16",
                      Info(type).name);
  HONE_TRY(const GgufFile file, GgufFile::Open(from));
  HONE_TRY(const ModelConfig config, ReadConfig(file));
  std::error_code error;
  if (fs::exists(to, error)) return Failed("{}: create: it exists already", to);
  const std::string partial = fmt::format("{}.partial-{}", to, getpid());
  fs::remove_all(partial, error);
  if (!fs::create_directories(partial, error)) return Failed("{}: create: {}", to, error.message());
  Result<FolderReport> report = WriteFiles(file, config, type, partial, progress);
  if (report) {
    fs::rename(partial, to, error);
    if (!error) return report;
    report = Failed("{}: rename: {}", to, error.message());
  }
  std::error_code ignored;
  fs::remove_all(partial, ignored);
  return report;
}

}  // namespace hone
