#include "evaluation/simulation/rounded_weights.h"

#include <cstring>
#include <vector>

#include "core/tensor/blocks.h"
#include "evaluation/simulation/group_rounding.h"
#include "language/quantization/quantize_model.h"

namespace hone {
namespace {

constexpr int64_t kBlock = 32;

void PackBlock(const StoredGrid& grid, const int* codes, BlockQ4_1& block) {
  block.scale = grid.scale;
  block.minimum = grid.least;
  for (int i = 0; i < kBlock / 2; ++i)
    block.quants[i] = static_cast<uint8_t>(codes[i] | codes[i + kBlock / 2] << 4);
}

void PackBlock(const StoredGrid& grid, const int* codes, BlockQ5_1& block) {
  block.scale = grid.scale;
  block.minimum = grid.least;
  uint32_t high = 0;
  for (int i = 0; i < kBlock; ++i) high |= static_cast<uint32_t>(codes[i] >> 4) << i;
  std::memcpy(block.high_bits, &high, sizeof(high));
  for (int i = 0; i < kBlock / 2; ++i)
    block.quants[i] = static_cast<uint8_t>((codes[i] & 15) | (codes[i + kBlock / 2] & 15) << 4);
}

// Rounds what calibration calls matrices of layers; all else goes on as it is.
class GroupQuantizer : public MatrixQuantizer {
 public:
  GroupQuantizer(int bits, int64_t group) : bits_(bits), group_(group) {}

  Result<bool> Prepare(const SourceTensor& tensor, DType, ComputeShare&) override {
    if (!IsLayerMatrix(tensor)) return false;
    const auto groups = static_cast<uint64_t>(tensor.rows() * (tensor.columns() / group_));
    const auto weights = static_cast<uint64_t>(tensor.rows() * tensor.columns());
    rounded_.weights += weights;
    rounded_.bytes +=
        (weights * static_cast<uint64_t>(bits_) + groups * (16 + static_cast<uint64_t>(bits_))) / 8;
    return true;
  }

  void Quantize(DType type, const float* x, int64_t rows, int64_t columns, std::byte* out) const override {
    std::vector<int> codes(static_cast<size_t>(group_));
    const int64_t row_bytes = RowBytes(type, group_);
    for (int64_t begin = 0; begin < rows * columns; begin += group_) {
      const std::span<const float> some(x + begin, codes.size());
      const AsymmetricGrid grid = AsymmetricGridOf(some, bits_);
      for (size_t i = 0; i < codes.size(); ++i) codes[i] = grid.Code(some[i]);
      Store(type, StoredGridOf(grid), codes, out);
      out += row_bytes;
    }
  }

  const RoundedWeights& rounded() const { return rounded_; }

 private:
  static void Store(DType type, const StoredGrid& grid, std::span<const int> codes, std::byte* out) {
    if (type == DType::kF32) {
      for (const int code : codes) {
        const float value = grid.Value(code);
        std::memcpy(out, &value, sizeof(value));
        out += sizeof(value);
      }
      return;
    }
    for (size_t i = 0; i < codes.size(); i += kBlock, out += RowBytes(type, kBlock)) {
      if (type == DType::kQ4_1) {
        PackBlock(grid, &codes[i], *reinterpret_cast<BlockQ4_1*>(out));
      } else {
        PackBlock(grid, &codes[i], *reinterpret_cast<BlockQ5_1*>(out));
      }
    }
  }

  int bits_;
  int64_t group_;
  RoundedWeights rounded_;
};

// The source, whose layers' matrices say to be stored as `claimed`: a matrix that has the type it is wanted
// in would be copied as it is.
class UnstoredSource : public ModelSource {
 public:
  UnstoredSource(const ModelSource& source, DType claimed)
      : source_(source), tensors_(source.tensors().begin(), source.tensors().end()) {
    for (SourceTensor& tensor : tensors_) {
      if (IsLayerMatrix(tensor)) tensor.type = claimed;
    }
  }

  const std::string& path() const override { return source_.path(); }
  const ModelConfig& config() const override { return source_.config(); }
  const GgufHeader& metadata() const override { return source_.metadata(); }
  std::span<const SourceTensor> tensors() const override { return tensors_; }
  std::string Identity() const override { return source_.Identity(); }
  void ReadRows(size_t tensor, int64_t begin, int64_t count, float* out) const override {
    source_.ReadRows(tensor, begin, count, out);
  }
  std::span<const std::byte> RawRows(size_t tensor, int64_t begin, int64_t count) const override {
    if (IsLayerMatrix(tensors_[tensor])) return {};
    return source_.RawRows(tensor, begin, count);
  }
  void Drop(size_t tensor, int64_t begin, int64_t count) const override {
    source_.Drop(tensor, begin, count);
  }

 private:
  const ModelSource& source_;
  std::vector<SourceTensor> tensors_;
};

}  // namespace

bool IsLayerMatrix(const SourceTensor& tensor) {
  return tensor.shape.size() == 2 && InputOfMatrix(tensor.name).has_value();
}

Result<DType> PackedTypeOf(int bits, int64_t group) {
  if (group % kBlock == 0 && bits == 4) return DType::kQ4_1;
  if (group % kBlock == 0 && bits == 5) return DType::kQ5_1;
  return Failed(
      "{} bits in groups of {}: no file type holds them, expected 4 or 5 bits in groups of 32, 64, ...", bits,
      group);
}

Result<RoundedWeights> WriteRoundedWeights(const ModelSource& source, int bits, int64_t group, DType type,
                                           const std::string& to, ComputeShare& share) {
  QuantizeOptions options;
  HONE_TRY(options.mix, FindTypeMix(Info(type).name));
  options.uniform = true;
  options.no_substitutes = true;
  options.allow_requantize = true;
  options.key = fmt::format("groups {} {}", bits, group);
  GroupQuantizer quantizer(bits, group);
  options.matrices = &quantizer;
  for (const SourceTensor& tensor : source.tensors()) {
    if (tensor.shape.size() != 2) continue;
    if (!IsLayerMatrix(tensor)) {
      options.forced.emplace_back(tensor.name, tensor.type);
    } else if (tensor.columns() % group != 0) {
      return Failed("{}: {} columns, which are no whole number of groups of {}", tensor.name,
                    tensor.columns(), group);
    }
  }
  const UnstoredSource unstored(source, type == DType::kF32 ? DType::kF16 : DType::kF32);
  HONE_CHECK_OK(QuantizeModel(unstored, options, to, share));
  return quantizer.rounded();
}

}  // namespace hone
