// hone inspect FILE: what is in a model file, for people and for machines.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "cli/command.h"
#include "cli/inspect_text.h"
#include "core/downloads/model_cache.h"
#include "core/formats/gguf/gguf_file.h"
#include "core/formats/safetensors/json_file.h"
#include "core/formats/safetensors/safetensors_folder.h"
#include "language/models/model_config.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string file;
  bool json = false;
  bool full = false;
};

// An array with more elements is shown by its first few, unless --full.
constexpr uint64_t kLongArray = 64;
constexpr uint64_t kFirstElements = 8;

template <class T>
T Load(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// The double whose shortest spelling is the float's: 1e-05, not 9.999999747378752e-06.
double Shortest(float value) { return std::strtod(fmt::format("{}", value).c_str(), nullptr); }

Json Scalar(GgufType type, std::span<const std::byte> bytes) {
  switch (type) {
    case GgufType::kU8:
      return Load<uint8_t>(bytes);
    case GgufType::kI8:
      return Load<int8_t>(bytes);
    case GgufType::kU16:
      return Load<uint16_t>(bytes);
    case GgufType::kI16:
      return Load<int16_t>(bytes);
    case GgufType::kU32:
      return Load<uint32_t>(bytes);
    case GgufType::kI32:
      return Load<int32_t>(bytes);
    case GgufType::kF32:
      return Shortest(Load<float>(bytes));
    case GgufType::kBool:
      return bytes[0] != std::byte{0};
    case GgufType::kString:
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    case GgufType::kU64:
      return Load<uint64_t>(bytes);
    case GgufType::kI64:
      return Load<int64_t>(bytes);
    case GgufType::kF64:
      return Load<double>(bytes);
    case GgufType::kArray:
      break;
  }
  return nullptr;
}

Json Elements(const GgufValue& value, uint64_t count) {
  Json list = Json::array();
  if (value.element_type == GgufType::kString) {
    for (const std::string_view text : GgufStrings(value.payload, value.count)) {
      if (list.size() == count) break;
      list.push_back(text);
    }
    return list;
  }
  const uint64_t width = value.count == 0 ? 0 : value.payload.size() / value.count;
  for (uint64_t i = 0; i < count; ++i) {
    list.push_back(Scalar(value.element_type, value.payload.subspan(i * width, width)));
  }
  return list;
}

Json Value(const GgufValue& value, bool full) {
  if (value.type != GgufType::kArray) return Scalar(value.type, value.payload);
  const bool nested = value.element_type == GgufType::kArray;
  if (!nested && (full || value.count <= kLongArray)) return Elements(value, value.count);
  Json shown = {{"array", Name(value.element_type)}, {"count", value.count}};
  if (!nested) shown["first"] = Elements(value, kFirstElements);
  return shown;
}

struct Sum {
  int64_t tensors = 0;
  int64_t parameters = 0;
  uint64_t bytes = 0;
  Json ToJson() const {
    const double bits =
        parameters == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(parameters);
    return {{"tensors", tensors}, {"parameters", parameters}, {"bytes", bytes}, {"bits_per_weight", bits}};
  }
};

void DescribeTensors(std::span<const FileTensor> tensors, Json& report) {
  Json list = Json::array();
  std::map<std::string_view, Sum> types;
  Sum total;
  for (const FileTensor& tensor : tensors) {
    const std::string_view type = Info(tensor.type).name;
    list.push_back({{"name", tensor.name},
                    {"type", type},
                    {"shape", tensor.shape},
                    {"bytes", tensor.size},
                    {"file", tensor.file->path()},
                    {"offset", tensor.offset}});
    for (Sum* sum : {&types[type], &total}) {
      sum->tensors += 1;
      sum->parameters += tensor.elements();
      sum->bytes += tensor.size;
    }
  }
  report["tensors"] = std::move(list);
  for (const auto& [type, sum] : types) report["types"][std::string(type)] = sum.ToJson();
  report["total"] = total.ToJson();
}

// What one token takes in the KV cache: in every layer, and once the windows of sliding-window layers are
// full.
void DescribeCache(const Result<ModelConfig>& config, Json& report) {
  if (!config) {
    report["kv_bytes_per_token"] = nullptr;
    report["kv_unknown"] = config.error().message;
    return;
  }
  const auto all_layers = [&](int bytes_per_value) {
    return int64_t{2} * config->kv_heads * config->head_dim * config->layers * bytes_per_value;
  };
  report["kv_bytes_per_token"] = all_layers(2);
  report["kv_bytes_per_token_exact"] = all_layers(4);
  report["kv_bytes_per_token_past_window"] = config->KvBytesPerToken(2);
  report["context"] = config->context;
}

Result<Json> InspectGguf(const Options& options) {
  HONE_TRY(const GgufFile file, GgufFile::Open(options.file));
  Json report = {{"file", options.file}, {"format", "gguf"}, {"version", file.version()}};
  HONE_TRY(const auto architecture, file.Text("general.architecture"));
  report["architecture"] = architecture ? Json(*architecture) : Json();
  uint64_t bytes = 0;
  for (const MappedFile* shard : file.shards()) {
    report["files"].push_back({{"path", shard->path()}, {"bytes", shard->bytes().size()}});
    bytes += shard->bytes().size();
  }
  report["file_bytes"] = bytes;
  report["metadata"] = Json::object();
  for (const auto& [key, value] : file.metadata()) report["metadata"][key] = Value(value, options.full);
  DescribeTensors(file.tensors(), report);
  DescribeCache(ReadConfig(file), report);
  return report;
}

// A Hugging Face folder, or one safetensors file.
Result<Json> InspectSafetensors(const Options& options) {
  HONE_TRY(const SafetensorsFolder folder, SafetensorsFolder::Open(options.file));
  Json report = {{"file", options.file}, {"format", "safetensors"}, {"architecture", nullptr}};
  std::set<std::string> paths;
  uint64_t bytes = 0;
  for (const FileTensor& tensor : folder.tensors()) {
    if (!paths.insert(tensor.file->path()).second) continue;
    report["files"].push_back({{"path", tensor.file->path()}, {"bytes", tensor.file->bytes().size()}});
    bytes += tensor.file->bytes().size();
  }
  report["file_bytes"] = bytes;
  report["metadata"] = Json::object();
  const std::string config_path = options.file + "/config.json";
  const bool has_config = std::filesystem::exists(config_path);
  if (has_config) {
    HONE_TRY(report["metadata"], ReadJsonObject(config_path));
    if (report["metadata"].contains("model_type")) report["architecture"] = report["metadata"]["model_type"];
  }
  DescribeTensors(folder.tensors(), report);
  if (has_config) DescribeCache(ReadConfig(report["metadata"], config_path), report);
  return report;
}

Result<void> Run(const Options& options) {
  HONE_TRY(const std::string path, ResolveModel(options.file));
  Options resolved = options;
  resolved.file = path;
  const bool safetensors = std::filesystem::is_directory(path) || path.ends_with(".safetensors");
  HONE_TRY(const Json report, safetensors ? InspectSafetensors(resolved) : InspectGguf(resolved));
  if (options.json) {
    fmt::print("{}\n", report.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    fmt::print("{}", InspectText(report));
  }
  return {};
}

}  // namespace

Action AddInspect(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("FILE", options->file,
                 "A GGUF file (any shard of a split set), a Hugging Face folder, a safetensors file, or a "
                 "pulled model's name")
      ->required();
  app.add_flag("--json", options->json, "Write one JSON object");
  app.add_flag("--full", options->full, "Write long arrays, such as vocabularies, in full");
  return [options] { return Run(*options); };
}

}  // namespace hone
