#include "language/quantization/float_copy.h"

#include <cmath>
#include <string_view>
#include <vector>

#include "core/formats/gguf/gguf_file.h"
#include "core/formats/gguf/gguf_writer.h"
#include "core/kernels/reference/dequantize.h"
#include "core/tensor/half.h"

namespace hone {
namespace {

// general.file_type of GGUF: what most tensors are stored as.
constexpr uint32_t kMostlyF32 = 0;
constexpr uint32_t kMostlyF16 = 1;

bool IsQuantized(const FileTensor& tensor) { return Info(tensor.type).elements > 1; }

Result<GgufHeader> MakeHeader(const GgufFile& file, DType type) {
  GgufHeader header;
  for (const auto& [key, value] : file.metadata()) {
    if (!key.starts_with("split.") && key != "general.quantization_version") header.Copy(key, value);
  }
  header.Set("general.file_type", type == DType::kF16 ? kMostlyF16 : kMostlyF32);
  for (const FileTensor& tensor : file.tensors())
    HONE_CHECK_OK(header.AddTensor(tensor.name, IsQuantized(tensor) ? type : tensor.type, tensor.shape));
  return header;
}

Result<void> WriteRows(const FileTensor& tensor, DType type, GgufWriter& writer, FloatCopy& copy) {
  const int64_t columns = tensor.columns();
  const int64_t row_bytes = RowBytes(tensor.type, columns);
  std::vector<float> values(static_cast<size_t>(columns));
  std::vector<uint16_t> halves(static_cast<size_t>(columns));
  for (int64_t row = 0; row < tensor.rows(); ++row) {
    Dequantize(tensor.type, tensor.bytes().data() + row * row_bytes, columns, values.data());
    if (type == DType::kF32) {
      HONE_CHECK_OK(writer.Write(std::as_bytes(std::span(values))));
      continue;
    }
    for (size_t i = 0; i < values.size(); ++i) {
      halves[i] = F32ToF16(values[i]);
      if (std::isfinite(values[i]) && !std::isfinite(F16ToF32(halves[i]))) ++copy.out_of_range;
    }
    HONE_CHECK_OK(writer.Write(std::as_bytes(std::span(halves))));
  }
  ++copy.matrices;
  return {};
}

}  // namespace

Result<FloatCopy> WriteFloatCopy(const std::string& from, DType type, const std::string& to,
                                 const std::function<void(uint64_t done, uint64_t total)>& progress) {
  if (type != DType::kF16 && type != DType::kF32)
    return WrongUsage("float copy: type {}, expected F16 or F32", Info(type).name);
  HONE_TRY(const GgufFile file, GgufFile::Open(from));
  HONE_TRY(const GgufHeader header, MakeHeader(file, type));
  HONE_TRY(GgufWriter writer, GgufWriter::Create(to, header));
  FloatCopy copy;
  uint64_t total = 0;
  for (const auto& tensor : header.tensors()) total += tensor.size;
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const FileTensor& tensor = file.tensors()[i];
    if (IsQuantized(tensor)) {
      HONE_CHECK_OK(WriteRows(tensor, type, writer, copy));
    } else {
      HONE_CHECK_OK(writer.Write(tensor.bytes()));
    }
    tensor.file->Drop(tensor.offset, tensor.size);
    copy.bytes += header.tensors()[i].size;
    if (progress) progress(copy.bytes, total);
  }
  HONE_CHECK_OK(writer.Finish());
  return copy;
}

}  // namespace hone
