#include "core/formats/plan/plan.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/mapped_file.h"
#include "core/base/output_file.h"
#include "core/base/printable.h"
#include "core/formats/safetensors/json_file.h"
#include "core/formats/safetensors/safetensors_file.h"
#include "core/formats/safetensors/safetensors_writer.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr size_t kLongestName = 64;
constexpr size_t kLongestKey = 256;
constexpr std::array<std::string_view, 4> kKeys = {"architecture", "tokenizer", "weights", "processor"};
constexpr std::array<std::string_view, 2> kStages = {"load", "runner"};

template <class Enum, size_t kCount>
std::optional<Enum> Find(const std::array<std::string_view, kCount>& names, std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return std::nullopt;
  return static_cast<Enum>(at - names.begin());
}

std::string JsonPath(const std::string& folder) { return folder + "/plan.json"; }
std::string TensorsPath(const std::string& folder) { return folder + "/tensors.safetensors"; }

std::string HashText(std::span<const std::byte> bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

bool IsPartName(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= kLongestName && std::all_of(name.begin(), name.end(), plain);
}

// Reads one plan.json; `path` and `field` are how errors name the place.
class PlanReader {
 public:
  explicit PlanReader(std::string path) : path_(std::move(path)) {}

  Result<Plan> Read(const Json& json) {
    HONE_CHECK_OK(CheckFields("top level", json, {"version", "tensors_hash", "parts"}));
    if (!json.contains("version") || json["version"] != kVersion)
      return BadInput(path_, "version", "found {}, expected {}", Found(json, "version"), kVersion);
    if (!json.contains("parts") || !json["parts"].is_object())
      return BadInput(path_, "parts", "found {}, expected an object", Found(json, "parts"));
    Plan plan;
    for (const auto& [name, part] : json["parts"].items()) {
      if (!IsPartName(name))
        return BadInput(path_, "parts",
                        "found the name \"{}\", expected lower-case letters, digits and hyphens",
                        Printable(name, 40));
      HONE_TRY(plan.parts[name], ReadPart("parts." + name, part));
    }
    return plan;
  }

  static std::string Found(const Json& json, std::string_view key) {
    return json.contains(key) ? Printable(json[key].dump(-1, ' ', true), 40) : "nothing";
  }

 private:
  Result<void> CheckFields(const std::string& field, const Json& json,
                           std::span<const std::string_view> known) {
    if (!json.is_object()) return BadInput(path_, field, "not an object, expected {{...}}");
    for (const auto& [key, value] : json.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end())
        return BadInput(path_, field, "unknown field \"{}\", expected {}", Printable(key, 40),
                        fmt::join(known, ", "));
    }
    return {};
  }
  Result<void> CheckFields(const std::string& field, const Json& json,
                           std::initializer_list<std::string_view> known) {
    return CheckFields(field, json, std::span(known.begin(), known.size()));
  }

  Result<PlanPart> ReadPart(const std::string& field, const Json& json) {
    HONE_CHECK_OK(CheckFields(field, json, {"acts", "made_for", "settings"}));
    PlanPart part;
    part.source = path_;
    const auto stage = json.contains("acts") && json["acts"].is_string()
                           ? Find<PlanStage>(kStages, json["acts"].get<std::string>())
                           : std::nullopt;
    if (!stage)
      return BadInput(path_, field + ".acts", "found {}, expected load or runner", Found(json, "acts"));
    part.acts = *stage;
    if (!json.contains("made_for")) return BadInput(path_, field + ".made_for", "absent, expected an object");
    HONE_CHECK_OK(CheckFields(field + ".made_for", json["made_for"], kKeys));
    for (const auto& [key, value] : json["made_for"].items()) {
      if (!value.is_string() || value.get<std::string>().empty() ||
          value.get<std::string>().size() > kLongestKey) {
        return BadInput(path_, field + ".made_for." + key, "found {}, expected a text of 1 to {} bytes",
                        Found(json["made_for"], key), kLongestKey);
      }
      part.made_for[*Find<PlanKey>(kKeys, key)] = value.get<std::string>();
    }
    if (part.made_for.empty())
      return BadInput(path_, field + ".made_for", "empty, expected one or more of {}",
                      fmt::join(kKeys, ", "));
    if (json.contains("settings")) {
      if (!json["settings"].is_object())
        return BadInput(path_, field + ".settings", "not an object, expected {{...}}");
      part.settings = json["settings"].dump(-1, ' ', true);
    }
    return part;
  }

  std::string path_;
};

// Hands each tensor to its part. `hash` is what plan.json says of the file.
Result<void> ReadTensors(const std::string& path, const std::string& hash, Plan& plan) {
  HONE_TRY(const SafetensorsFile file, ReadSafetensorsFile(path));
  if (const std::string found = HashText(file.file->bytes()); found != hash) {
    return BadInput(path, "hash", "found {}, expected {}: it was not written with the plan.json beside it",
                    found, Printable(hash, 40));
  }
  for (const FileTensor& tensor : file.tensors) {
    const size_t dot = tensor.name.find('.');
    const auto part = plan.parts.find(tensor.name.substr(0, dot));
    if (dot == std::string::npos || dot + 1 == tensor.name.size() || part == plan.parts.end())
      return BadInput(path, Printable(tensor.name, 80),
                      "belongs to no part of plan.json, expected PART.NAME");
    const auto bytes = tensor.bytes();
    part->second.tensors[tensor.name.substr(dot + 1)] = {tensor.type, tensor.shape,
                                                         std::vector<std::byte>(bytes.begin(), bytes.end())};
  }
  return {};
}

Result<Json> PartJson(const std::string& name, const PlanPart& part) {
  if (!IsPartName(name))
    return WrongUsage("plan: part \"{}\": expected a name of lower-case letters, digits and hyphens", name);
  if (part.made_for.empty()) return WrongUsage("plan: part {}: does not say what it was made for", name);
  Json json = {{"acts", Name(part.acts)}, {"made_for", Json::object()}};
  for (const auto& [key, value] : part.made_for) json["made_for"][std::string(Name(key))] = value;
  json["settings"] = Json::parse(part.settings, nullptr, false);
  if (!json["settings"].is_object()) return WrongUsage("plan: part {}: settings are not a JSON object", name);
  return json;
}

Result<void> WriteFile(const std::string& path, std::string_view bytes) {
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(bytes))));
  return file.Commit();
}

}  // namespace

std::string_view Name(PlanKey key) { return kKeys[static_cast<size_t>(key)]; }
std::string_view Name(PlanStage stage) { return kStages[static_cast<size_t>(stage)]; }

PlanTensor PlanTensor::FromFloats(std::span<const float> values, std::vector<int64_t> shape) {
  const auto bytes = std::as_bytes(values);
  return {DType::kF32, std::move(shape), std::vector<std::byte>(bytes.begin(), bytes.end())};
}

Result<std::vector<float>> PlanPart::Floats(std::string_view name, std::span<const int64_t> shape) const {
  const auto at = tensors.find(std::string(name));
  if (at == tensors.end()) return BadInput(source, name, "no tensor of this name");
  const PlanTensor& tensor = at->second;
  if (tensor.type != DType::kF32 ||
      !std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end()))
    return BadInput(source, name, "a tensor of {} [{}], expected F32 [{}]", Info(tensor.type).name,
                    fmt::join(tensor.shape, ", "), fmt::join(shape, ", "));
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

Result<Plan> ReadPlan(const std::string& folder) {
  std::error_code ignored;
  if (!fs::exists(JsonPath(folder), ignored))
    return BadInput(folder, "plan", "no plan.json in it, expected the folder of a plan");
  return ReadPlanFiles(JsonPath(folder), TensorsPath(folder));
}

Result<Plan> ReadPlanFiles(const std::string& json_path, const std::string& tensors_path) {
  HONE_TRY(const Json json, ReadJsonObject(json_path));
  HONE_TRY(Plan plan, PlanReader(json_path).Read(json));
  if (!json.contains("tensors_hash")) return plan;
  if (!json["tensors_hash"].is_string()) {
    return BadInput(json_path, "tensors_hash", "found {}, expected a text",
                    PlanReader::Found(json, "tensors_hash"));
  }
  HONE_CHECK_OK(ReadTensors(tensors_path, json["tensors_hash"].get<std::string>(), plan));
  return plan;
}

Result<void> WritePlan(const Plan& plan, const std::string& folder) {
  Json json = {{"version", kVersion}};
  std::vector<NewTensor> tensors;
  Json parts = Json::object();
  for (const auto& [name, part] : plan.parts) {
    HONE_TRY(parts[name], PartJson(name, part));
    for (const auto& [tensor_name, tensor] : part.tensors)
      tensors.push_back({name + "." + tensor_name, tensor.type, tensor.shape, tensor.bytes});
  }
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) return Failed("{}: {}", folder, problem.message());
  if (!tensors.empty()) {
    HONE_TRY(const std::string bytes, EncodeSafetensors(tensors));
    json["tensors_hash"] = HashText(std::as_bytes(std::span(bytes)));
    HONE_CHECK_OK(WriteFile(TensorsPath(folder), bytes));
  }
  json["parts"] = std::move(parts);
  HONE_CHECK_OK(WriteFile(JsonPath(folder), json.dump(2, ' ', true) + "\n"));
  if (tensors.empty()) fs::remove(TensorsPath(folder), problem);  // of the plan that was here before
  return {};
}

Result<void> MergePlan(Plan more, Plan& plan) {
  for (auto& [name, part] : more.parts) {
    const auto at = plan.parts.find(name);
    if (at != plan.parts.end()) {
      return BadInput(part.source.empty() ? "plan" : part.source, "parts." + name,
                      "in {} too, expected it in one plan",
                      at->second.source.empty() ? "another plan" : at->second.source);
    }
  }
  plan.parts.merge(more.parts);
  return {};
}

Result<void> CheckFits(std::string_view name, const PlanPart& part,
                       FunctionRef<Result<std::string>(PlanKey)> current) {
  for (const auto& [key, value] : part.made_for) {
    HONE_TRY(const std::string here, current(key));
    if (here == value) continue;
    return BadInput(part.source.empty() ? "plan" : part.source, fmt::format("parts.{}", name),
                    "made for {} {}, expected {}", Name(key), Printable(value, 80), here);
  }
  return {};
}

}  // namespace hone
