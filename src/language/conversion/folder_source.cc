// A Hugging Face folder as a source: tensors under their GGUF names, in the order of the layers, with the
// rows of a Llama's query and key in the order that GGUF files rotate them in, and norms as the weight that
// is multiplied with.
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/mapped_file.h"
#include "core/formats/safetensors/json_file.h"
#include "core/formats/safetensors/safetensors_folder.h"
#include "core/kernels/quantize/quantize.h"
#include "core/kernels/reference/dequantize.h"
#include "language/conversion/folder_source.h"
#include "language/conversion/gguf_keys.h"
#include "language/conversion/gguf_vocabulary.h"
#include "language/models/weight_source.h"

namespace hone {
namespace {

// The tensors of a layer, of any family; those that a folder lacks are left out.
constexpr std::string_view kInLayer[] = {"attn_norm.weight",   "attn_q.weight",
                                         "attn_q.bias",        "attn_k.weight",
                                         "attn_k.bias",        "attn_v.weight",
                                         "attn_v.bias",        "attn_qkv.weight",
                                         "attn_qkv.bias",      "attn_q_norm.weight",
                                         "attn_k_norm.weight", "attn_output.weight",
                                         "attn_output.bias",   "post_attention_norm.weight",
                                         "ffn_norm.weight",    "ffn_gate.weight",
                                         "ffn_gate.bias",      "ffn_up.weight",
                                         "ffn_up.bias",        "ffn_down.weight",
                                         "ffn_down.bias",      "post_ffw_norm.weight"};

class FolderSource final : public ModelSource {
 public:
  static Result<std::unique_ptr<ModelSource>> Open(const std::string& path, const std::string& scratch) {
    HONE_TRY(const nlohmann::ordered_json json, ReadJsonObject(path + "/config.json"));
    HONE_TRY(ModelConfig config, ReadConfig(json, path + "/config.json"));
    HONE_TRY(SafetensorsFolder folder, SafetensorsFolder::Open(path));
    auto source = std::unique_ptr<FolderSource>(new FolderSource(path, config, std::move(folder)));
    HONE_CHECK_OK(SetModelKeys(config, path + "/config.json", source->metadata_));
    HONE_CHECK_OK(SetVocabulary(path, config.vocabulary, scratch, source->metadata_));
    HONE_CHECK_OK(source->ListTensors());
    return source;
  }

  const std::string& path() const override { return path_; }
  const ModelConfig& config() const override { return config_; }
  const GgufHeader& metadata() const override { return metadata_; }
  std::span<const SourceTensor> tensors() const override { return tensors_; }

  std::string Identity() const override {
    std::string identity;
    const FileTensor* last = nullptr;
    for (const FileTensor& tensor : folder_.tensors()) {
      if (last != nullptr && last->file == tensor.file) continue;
      last = &tensor;
      struct stat status {};
      stat(tensor.file->path().c_str(), &status);
      identity += fmt::format("{} {}.{:09} ", tensor.file->bytes().size(), status.st_mtim.tv_sec,
                              status.st_mtim.tv_nsec);
    }
    return identity;
  }

  void ReadRows(size_t index, int64_t begin, int64_t count, float* out) const override {
    const Origin& origin = origins_[index];
    if (origin.tensor == nullptr) {
      std::copy(origin.values.begin(), origin.values.end(), out);
      return;
    }
    const FileTensor& from = *origin.tensor;
    const int64_t columns = from.columns();
    if (origin.turned_head == 0) {
      WidenRows(from.type, At(from, begin), count, columns, out);
    } else {
      for (int64_t i = 0; i < count; ++i)
        WidenRows(from.type, At(from, HalvesRow(begin + i, origin.turned_head)), 1, columns,
                  out + i * columns);
    }
    if (origin.offset != 0.0f) {
      for (int64_t i = 0; i < count * columns; ++i) out[i] += origin.offset;
    }
  }

  std::span<const std::byte> RawRows(size_t index, int64_t begin, int64_t count) const override {
    const Origin& origin = origins_[index];
    if (origin.tensor == nullptr || origin.turned_head != 0 || origin.offset != 0.0f ||
        origin.tensor->type != tensors_[index].type)
      return {};
    const int64_t row_bytes = RowBytes(origin.tensor->type, origin.tensor->columns());
    return {At(*origin.tensor, begin), static_cast<size_t>(count * row_bytes)};
  }

  void Drop(size_t index, int64_t begin, int64_t count) const override {
    const Origin& origin = origins_[index];
    if (origin.tensor == nullptr || origin.turned_head != 0) return;
    const auto row_bytes = static_cast<uint64_t>(RowBytes(origin.tensor->type, origin.tensor->columns()));
    origin.tensor->file->Drop(origin.tensor->offset + static_cast<uint64_t>(begin) * row_bytes,
                              static_cast<uint64_t>(count) * row_bytes);
  }

 private:
  struct Origin {
    const FileTensor* tensor = nullptr;
    int64_t turned_head = 0;    // size of a head whose rows go from halves to neighbours, 0: as they are
    float offset = 0.0f;        // added to each value
    std::vector<float> values;  // where no tensor is
  };

  FolderSource(std::string path, ModelConfig config, SafetensorsFolder folder)
      : path_(std::move(path)),
        config_(std::move(config)),
        folder_(folder),
        weights_(std::move(folder), path_, config_.family, config_.tied_embeddings) {}

  static const std::byte* At(const FileTensor& tensor, int64_t row) {
    return tensor.bytes().data() + row * RowBytes(tensor.type, tensor.columns());
  }

  // GGUF files of Llamas turn neighbours (2i, 2i + 1), folders the halves (i, i + d/2).
  static int64_t HalvesRow(int64_t row, int64_t head) {
    const int64_t in_head = row % head;
    return row - in_head + in_head / 2 + in_head % 2 * (head / 2);
  }

  Result<void> ListTensors() {
    HONE_CHECK_OK(Add("token_embd.weight", true));
    for (int layer = 0; layer < config_.layers; ++layer) {
      for (const std::string_view part : kInLayer) {
        // Other families call another norm so.
        if (part.starts_with("post_") && config_.family != "gemma3") continue;
        HONE_CHECK_OK(Add(fmt::format("blk.{}.{}", layer, part), false));
      }
    }
    HONE_CHECK_OK(Add("output_norm.weight", true));
    if (!config_.tied_embeddings) HONE_CHECK_OK(Add("output.weight", true));
    for (RopeVector& vector : RopeVectors(config_)) {
      tensors_.push_back({vector.name, DType::kF32, {static_cast<int64_t>(vector.values.size())}});
      origins_.push_back({.values = std::move(vector.values)});
    }
    return {};
  }

  Result<void> Add(const std::string& name, bool needed) {
    const FileTensor* tensor = weights_.Find(name);
    if (tensor == nullptr) {
      if (!needed) return {};
      return BadInput(path_, weights_.OwnName(name), "no such tensor");
    }
    if (IsNoFloat(tensor->type))
      return BadInput(path_, weights_.OwnName(name), "type {}, expected F32, F16 or BF16",
                      Info(tensor->type).name);
    Origin origin{.tensor = tensor};
    const bool turned =
        name.find("attn_q.") != std::string::npos || name.find("attn_k.") != std::string::npos;
    if (config_.family == "llama" && turned) {
      if (tensor->shape.size() != 2)
        return BadInput(path_, weights_.OwnName(name),
                        "a bias, which GGUF files of the family llama cannot turn");
      origin.turned_head = config_.head_dim;
    }
    if (name.ends_with("norm.weight")) origin.offset = weights_.norm_offset();
    // Vectors are F32 in GGUF files.
    tensors_.push_back({name, tensor->shape.size() == 1 ? DType::kF32 : tensor->type, tensor->shape});
    origins_.push_back(std::move(origin));
    return {};
  }

  static bool IsNoFloat(DType type) {
    return type != DType::kF32 && type != DType::kF16 && type != DType::kBF16;
  }

  std::string path_;
  ModelConfig config_;
  SafetensorsFolder folder_;
  FolderWeights weights_;
  GgufHeader metadata_;
  std::vector<SourceTensor> tensors_;
  std::vector<Origin> origins_;
};

}  // namespace

Result<std::unique_ptr<ModelSource>> OpenFolderSource(const std::string& path, const std::string& scratch) {
  return FolderSource::Open(path, scratch);
}

}  // namespace hone
