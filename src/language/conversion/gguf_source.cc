// A GGUF file as a source: rows are widened where they lie.
#include <sys/stat.h>

#include <filesystem>

#include "core/formats/gguf/gguf_file.h"
#include "core/kernels/quantize/quantize.h"
#include "language/conversion/folder_source.h"
#include "language/conversion/model_source.h"

namespace hone {
namespace {

class GgufSource final : public ModelSource {
 public:
  GgufSource(GgufFile file, ModelConfig config) : file_(std::move(file)), config_(std::move(config)) {
    for (const auto& [key, value] : file_.metadata()) {
      if (!key.starts_with("split.")) metadata_.Copy(key, value);
    }
    for (const FileTensor& tensor : file_.tensors())
      tensors_.push_back({tensor.name, tensor.type, tensor.shape});
  }

  const std::string& path() const override { return file_.path(); }
  const ModelConfig& config() const override { return config_; }
  const GgufHeader& metadata() const override { return metadata_; }
  std::span<const SourceTensor> tensors() const override { return tensors_; }

  std::string Identity() const override {
    std::string identity;
    for (const MappedFile* shard : file_.shards()) {
      struct stat status {};
      stat(shard->path().c_str(), &status);
      identity +=
          fmt::format("{} {}.{:09} ", shard->bytes().size(), status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    }
    return identity;
  }

  void ReadRows(size_t tensor, int64_t begin, int64_t count, float* out) const override {
    WidenRows(tensors_[tensor].type, RawRows(tensor, begin, count).data(), count, tensors_[tensor].columns(),
              out);
  }

  std::span<const std::byte> RawRows(size_t tensor, int64_t begin, int64_t count) const override {
    const auto row_bytes = static_cast<uint64_t>(RowBytes(tensors_[tensor].type, tensors_[tensor].columns()));
    return file_.tensors()[tensor].bytes().subspan(static_cast<uint64_t>(begin) * row_bytes,
                                                   static_cast<uint64_t>(count) * row_bytes);
  }

  void Drop(size_t tensor, int64_t begin, int64_t count) const override {
    const FileTensor& from = file_.tensors()[tensor];
    const auto row_bytes = static_cast<uint64_t>(RowBytes(from.type, from.columns()));
    from.file->Drop(from.offset + static_cast<uint64_t>(begin) * row_bytes,
                    static_cast<uint64_t>(count) * row_bytes);
  }

 private:
  GgufFile file_;
  ModelConfig config_;
  GgufHeader metadata_;
  std::vector<SourceTensor> tensors_;
};

}  // namespace

int64_t SourceTensor::rows() const {
  int64_t count = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
  return count;
}

Result<std::unique_ptr<ModelSource>> OpenModelSource(const std::string& path, const std::string& scratch) {
  if (std::filesystem::is_directory(path))
    return OpenFolderSource(path, scratch.empty() ? path + ".vocabulary" : scratch);
  HONE_TRY(GgufFile file, GgufFile::Open(path));
  HONE_TRY(ModelConfig config, ReadConfig(file));
  return std::make_unique<GgufSource>(std::move(file), std::move(config));
}

}  // namespace hone
