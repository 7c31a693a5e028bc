// Where the tensors of a model lie, under one set of names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/safetensors/safetensors_folder.h"

namespace hone {

// How Hugging Face's folders of a family call the tensor that GGUF files call `name`; `prefix` stands before
// all names of a multimodal folder.
std::string HuggingFaceName(std::string_view name, std::string_view family, std::string_view prefix);

// Names are those of GGUF: "blk.3.attn_q.weight".
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual const std::string& path() const = 0;
  virtual const FileTensor* Find(std::string_view name) const = 0;
  // How the source itself calls the tensor, for error messages.
  virtual std::string OwnName(std::string_view name) const = 0;
  virtual uint64_t total_bytes() const = 0;
  // What this source subtracts from the norm weights of a family (Gemma's folders store w - 1).
  virtual float norm_offset() const { return 0.0f; }
};

class GgufWeights : public WeightSource {
 public:
  explicit GgufWeights(GgufFile file) : file_(std::move(file)) {}
  const std::string& path() const override { return file_.path(); }
  const FileTensor* Find(std::string_view name) const override { return file_.FindTensor(name); }
  std::string OwnName(std::string_view name) const override { return std::string(name); }
  uint64_t total_bytes() const override;

 private:
  GgufFile file_;
};

class FolderWeights : public WeightSource {
 public:
  FolderWeights(SafetensorsFolder folder, std::string path, std::string family, bool tied);
  const std::string& path() const override { return path_; }
  const FileTensor* Find(std::string_view name) const override;
  std::string OwnName(std::string_view name) const override;
  uint64_t total_bytes() const override;
  float norm_offset() const override { return family_ == "gemma3" ? 1.0f : 0.0f; }

 private:
  SafetensorsFolder folder_;
  std::string path_;
  std::string family_;
  bool tied_;           // a stored lm_head is ignored
  std::string prefix_;  // of multimodal files
};

}  // namespace hone
