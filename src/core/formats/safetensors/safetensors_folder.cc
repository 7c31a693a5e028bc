#include "core/formats/safetensors/safetensors_folder.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/base/printable.h"
#include "core/formats/safetensors/json_file.h"
#include "core/formats/safetensors/safetensors_file.h"

namespace hone {

struct SafetensorsFolder::Parts {
  std::string path;
  std::vector<SafetensorsFile> files;
  std::vector<FileTensor> tensors;
  std::unordered_map<std::string_view, const FileTensor*> names;
};

namespace {

// What the index lists: the tensors of each shard.
using WeightMap = std::map<std::string, std::unordered_set<std::string>>;

Result<WeightMap> ReadIndex(const std::string& path) {
  HONE_TRY(const nlohmann::ordered_json index, ReadJsonObject(path));
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object() || map->empty()) {
    return BadInput(path, "weight_map", "{}, expected an object of tensor names and files",
                    map == index.end() ? "absent" : "empty or not an object");
  }
  WeightMap shards;
  for (const auto& [tensor, file] : map->items()) {
    const auto* name = file.get_ptr<const std::string*>();
    if (name == nullptr) return BadInput(path, Printable(tensor), "not a string, expected a file's name");
    if (name->empty() || name->find('/') != std::string::npos || *name == "." || *name == ".." ||
        name->find('\0') != std::string::npos) {
      return BadInput(path, Printable(tensor), "file \"{}\", expected one in the folder", Printable(*name));
    }
    shards[*name].insert(tensor);
  }
  return shards;
}

Result<void> AddShards(const std::filesystem::path& folder, const std::string& index,
                       std::vector<SafetensorsFile>& files, std::vector<FileTensor>& tensors) {
  HONE_TRY(const WeightMap shards, ReadIndex(index));
  for (const auto& [name, wanted] : shards) {
    const std::string path = (folder / name).string();
    if (!std::filesystem::exists(path)) {
      return BadInput(path, "file", "absent, expected one of the {} shards of {}", shards.size(), index);
    }
    HONE_TRY(SafetensorsFile file, ReadSafetensorsFile(path));
    size_t found = 0;
    for (const FileTensor& tensor : file.tensors) {
      if (!wanted.contains(tensor.name)) continue;
      tensors.push_back(tensor);
      ++found;
    }
    if (found < wanted.size()) {
      std::unordered_set<std::string> missing = wanted;
      for (const FileTensor& tensor : file.tensors) missing.erase(tensor.name);
      return BadInput(path, Printable(*missing.begin()), "absent, expected it here by {}", index);
    }
    files.push_back(std::move(file));
  }
  return {};
}

}  // namespace

Result<SafetensorsFolder> SafetensorsFolder::Open(const std::string& path) {
  auto parts = std::make_shared<Parts>();
  parts->path = path;
  std::error_code ignored;
  std::string single = path;
  std::string index;
  if (std::filesystem::is_directory(path, ignored)) {
    single = (std::filesystem::path(path) / "model.safetensors").string();
    index = single + ".index.json";
    if (!std::filesystem::exists(single, ignored) && !std::filesystem::exists(index, ignored)) {
      return BadInput(path, "model.safetensors",
                      "absent, expected it or model.safetensors.index.json in the folder");
    }
  }
  if (!index.empty() && !std::filesystem::exists(single, ignored)) {
    HONE_CHECK_OK(AddShards(path, index, parts->files, parts->tensors));
  } else {
    HONE_TRY(SafetensorsFile file, ReadSafetensorsFile(single));
    parts->tensors = std::move(file.tensors);
    parts->files.push_back(std::move(file));
  }
  parts->names.reserve(parts->tensors.size());
  for (const FileTensor& tensor : parts->tensors) parts->names.emplace(tensor.name, &tensor);
  SafetensorsFolder folder;
  folder.parts_ = std::move(parts);
  return folder;
}

const std::string& SafetensorsFolder::path() const { return parts_->path; }

std::span<const FileTensor> SafetensorsFolder::tensors() const { return parts_->tensors; }

const FileTensor* SafetensorsFolder::FindTensor(std::string_view name) const {
  const auto found = parts_->names.find(name);
  return found == parts_->names.end() ? nullptr : found->second;
}

}  // namespace hone
