#include "language/quantization/importance.h"

#include <cmath>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/gguf/gguf_writer.h"
#include "core/kernels/reference/dequantize.h"

namespace hone {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

Result<std::vector<float>> Floats(const GgufFile& file, const FileTensor& tensor) {
  if (tensor.type != DType::kF32)
    return BadInput(file.path(), tensor.name, "type {}, expected F32", Info(tensor.type).name);
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  Dequantize(DType::kF32, tensor.bytes().data(), tensor.elements(), values.data());
  for (const float value : values) {
    if (!(value >= 0.0f) || !std::isfinite(value))
      return BadInput(file.path(), tensor.name, "{}, expected finite numbers that are not negative", value);
  }
  return values;
}

}  // namespace

Importance ImportanceOf(std::span<const LayerMoments> moments, std::span<const std::string> names) {
  Importance importance;
  for (const std::string& name : names) {
    const auto input = InputOfMatrix(name);
    if (!input || static_cast<size_t>(input->layer) >= moments.size() || !name.ends_with(".weight")) continue;
    importance[name] =
        moments[static_cast<size_t>(input->layer)][static_cast<size_t>(input->input)].MeanSquares();
  }
  return importance;
}

Result<Importance> ReadImportanceFile(const std::string& path) {
  HONE_TRY(const GgufFile file, GgufFile::Open(path));
  HONE_TRY(const auto type, file.Text("general.type"));
  if (type.value_or("") != "imatrix")
    return BadInput(path, "general.type", "\"{}\", expected \"imatrix\"", type.value_or(""));
  Importance importance;
  for (const FileTensor& tensor : file.tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - kSums.size());
    const FileTensor* counted = file.FindTensor(name + std::string(kCounts));
    if (counted == nullptr) return BadInput(path, name + std::string(kCounts), "no such tensor");
    HONE_TRY(std::vector<float> sums, Floats(file, tensor));
    HONE_TRY(const std::vector<float> counts, Floats(file, *counted));
    if (tensor.rows() != 1 || counts.size() != 1)
      return BadInput(path, tensor.name, "{} matrices, expected one (experts are not known here)",
                      tensor.rows());
    // A matrix that was never used says nothing about its columns.
    if (counts[0] == 0.0f) continue;
    for (float& sum : sums) sum /= counts[0];
    importance.emplace(name, std::move(sums));
  }
  if (importance.empty()) return BadInput(path, "tensors", "no importance of any matrix");
  return importance;
}

Result<void> WriteImportanceFile(const Importance& importance, int64_t tokens, int64_t window,
                                 const std::string& text_name, const std::string& path) {
  GgufHeader header;
  header.SetText("general.type", "imatrix");
  const std::string names[] = {text_name};
  header.SetTexts("imatrix.datasets", names);
  header.Set("imatrix.chunk_count", static_cast<uint32_t>(tokens / window));
  header.Set("imatrix.chunk_size", static_cast<uint32_t>(window));
  for (const auto& [name, means] : importance) {
    HONE_CHECK_OK(
        header.AddTensor(name + std::string(kSums), DType::kF32, {1, static_cast<int64_t>(means.size())}));
    HONE_CHECK_OK(header.AddTensor(name + std::string(kCounts), DType::kF32, {1, 1}));
  }
  HONE_TRY(GgufWriter writer, GgufWriter::Create(path, std::move(header)));
  const auto count = static_cast<float>(tokens);
  for (const auto& [name, means] : importance) {
    std::vector<float> sums = means;
    for (float& sum : sums) sum *= count;
    HONE_CHECK_OK(writer.Write(std::as_bytes(std::span(sums))));
    HONE_CHECK_OK(writer.Write(std::as_bytes(std::span(&count, 1))));
  }
  return writer.Finish();
}

}  // namespace hone
