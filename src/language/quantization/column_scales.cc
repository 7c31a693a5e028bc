#include "language/quantization/column_scales.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "core/kernels/quantize/quantize.h"
#include "core/kernels/reference/dequantize.h"

namespace hone {
namespace {

// Matrices that share an input, and what made it: a norm's vector, or the rows of a matrix.
struct ScaleGroup {
  std::vector<size_t> matrices;
  size_t maker = 0;
  bool maker_is_matrix = false;
};

std::optional<size_t> Find(const ModelSource& source, const std::string& name) {
  const auto found = std::ranges::find(source.tensors(), name, &SourceTensor::name);
  if (found == source.tensors().end()) return std::nullopt;
  return static_cast<size_t>(found - source.tensors().begin());
}

// The group that reads `input` in a layer; empty where the family joins matrices in a way that has no place
// for the scales.
std::optional<ScaleGroup> FindGroup(const ModelSource& source, int layer, LayerInput input) {
  const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}.weight", layer, part); };
  std::vector<std::string_view> readers;
  std::string_view maker;
  switch (input) {
    case LayerInput::kMixer:
      readers = {"attn_q", "attn_k", "attn_v", "attn_qkv"};
      maker = "attn_norm";
      break;
    case LayerInput::kMlp:
      readers = {"ffn_gate", "ffn_up"};
      maker = "ffn_norm";
      break;
    case LayerInput::kDown:
      // Down reads gate times up: the scales go into the rows of up, where up stands alone.
      if (!Find(source, name("ffn_gate"))) return std::nullopt;
      readers = {"ffn_down"};
      maker = "ffn_up";
      break;
    case LayerInput::kAttended:
      return std::nullopt;
  }
  ScaleGroup group;
  for (const std::string_view reader : readers) {
    if (const auto at = Find(source, name(reader))) group.matrices.push_back(*at);
  }
  const auto at = Find(source, name(maker));
  if (!at || group.matrices.empty()) return std::nullopt;
  group.maker = *at;
  group.maker_is_matrix = source.tensors()[*at].shape.size() > 1;
  return group;
}

// Scales around 1, so that the norms that take them keep their size.
void Centre(std::vector<float>& scales) {
  constexpr float kLeast = 1e-4f;
  float low = std::numeric_limits<float>::infinity(), high = 0.0f;
  for (float& scale : scales) {
    if (!(scale > kLeast)) scale = kLeast;
    low = std::min(low, scale);
    high = std::max(high, scale);
  }
  const float centre = std::sqrt(low * high);
  for (float& scale : scales) scale /= centre;
}

void AddScales(const ModelSource& source, const ScaleGroup& group, const std::vector<float>& scales,
               ModelScales& model) {
  for (const size_t matrix : group.matrices) model[source.tensors()[matrix].name].columns = scales;
  std::vector<float>& made = model[source.tensors()[group.maker].name].rows;
  made.assign(scales.size(), 1.0f);
  for (size_t i = 0; i < scales.size(); ++i) made[i] = 1.0f / scales[i];
}

// Rows spread over a matrix.
struct Sample {
  DType type = DType::kF32;
  int64_t rows = 0;
  std::vector<float> values;
};

Sample ReadSample(const ModelSource& source, size_t matrix, DType type, int64_t most) {
  const SourceTensor& tensor = source.tensors()[matrix];
  Sample sample{type, std::min(most, tensor.rows()), {}};
  sample.values.resize(static_cast<size_t>(sample.rows * tensor.columns()));
  for (int64_t i = 0; i < sample.rows; ++i)
    source.ReadRows(matrix, i * tensor.rows() / sample.rows, 1, sample.values.data() + i * tensor.columns());
  return sample;
}

// sum over rows and columns of m_j (w_j - Q(s w)_j / s_j)^2
double ScaledError(const Sample& sample, const std::vector<float>& means, const std::vector<float>& scales) {
  const auto columns = static_cast<int64_t>(scales.size());
  std::vector<float> scaled(sample.values.size()), found(sample.values.size());
  for (size_t i = 0; i < scaled.size(); ++i) scaled[i] = sample.values[i] * scales[i % scales.size()];
  // Errors of the scaled matrix count as much as its inputs, which are divided.
  std::vector<float> weights(means.size());
  for (size_t j = 0; j < means.size(); ++j) weights[j] = means[j] / (scales[j] * scales[j]);
  std::vector<std::byte> packed(static_cast<size_t>(sample.rows * RowBytes(sample.type, columns)));
  QuantizeRows(sample.type, scaled.data(), sample.rows, columns, weights.data(), Rounding::kSearch,
               packed.data());
  Dequantize(sample.type, packed.data(), sample.rows * columns, found.data());
  double error = 0;
  for (size_t i = 0; i < scaled.size(); ++i) {
    const double off = static_cast<double>(scaled[i]) - static_cast<double>(found[i]);
    error += off * off * static_cast<double>(weights[i % weights.size()]);
  }
  return error;
}

std::vector<float> PowerScales(const std::vector<float>& means, float alpha) {
  std::vector<float> scales(means.size());
  // The root of the mean square stands for the mean magnitude.
  for (size_t j = 0; j < means.size(); ++j) scales[j] = std::pow(std::max(means[j], 1e-20f), 0.5f * alpha);
  Centre(scales);
  return scales;
}

class ScaledSource final : public ModelSource {
 public:
  ScaledSource(const ModelSource& source, ModelScales scales) : source_(source) {
    for (const SourceTensor& tensor : source.tensors()) {
      const auto found = scales.find(tensor.name);
      scales_.push_back(found == scales.end() ? TensorScales{} : std::move(found->second));
    }
  }
  const std::string& path() const override { return source_.path(); }
  const ModelConfig& config() const override { return source_.config(); }
  const GgufHeader& metadata() const override { return source_.metadata(); }
  std::span<const SourceTensor> tensors() const override { return source_.tensors(); }
  std::string Identity() const override { return source_.Identity(); }

  void ReadRows(size_t tensor, int64_t begin, int64_t count, float* out) const override {
    source_.ReadRows(tensor, begin, count, out);
    const TensorScales& scales = scales_[tensor];
    const int64_t columns = tensors()[tensor].columns();
    const bool vector = tensors()[tensor].shape.size() == 1;
    for (int64_t row = 0; row < count; ++row) {
      float* values = out + row * columns;
      for (size_t j = 0; j < scales.columns.size(); ++j) values[j] *= scales.columns[j];
      if (scales.rows.empty()) continue;
      for (int64_t j = 0; j < columns; ++j)
        values[j] *= scales.rows[static_cast<size_t>(vector ? j : begin + row)];
    }
  }
  std::span<const std::byte> RawRows(size_t tensor, int64_t begin, int64_t count) const override {
    const bool plain = scales_[tensor].columns.empty() && scales_[tensor].rows.empty();
    return plain ? source_.RawRows(tensor, begin, count) : std::span<const std::byte>();
  }
  void Drop(size_t tensor, int64_t begin, int64_t count) const override {
    source_.Drop(tensor, begin, count);
  }

 private:
  const ModelSource& source_;
  std::vector<TensorScales> scales_;  // as tensors()
};

}  // namespace

Result<ModelScales> AwqScales(const ModelSource& source, const std::vector<TypeChoice>& choices,
                              const std::vector<LayerMoments>& moments, ComputeShare& share,
                              const AwqOptions& options) {
  ModelScales model;
  for (size_t layer = 0; layer < moments.size(); ++layer) {
    for (const LayerInput input : {LayerInput::kMixer, LayerInput::kMlp, LayerInput::kDown}) {
      const auto group = FindGroup(source, static_cast<int>(layer), input);
      if (!group) continue;
      const std::vector<float> means = moments[layer][static_cast<size_t>(input)].MeanSquares();
      std::vector<Sample> samples;
      for (const size_t matrix : group->matrices)
        samples.push_back(ReadSample(source, matrix, choices[matrix].type, options.sample_rows));
      std::vector<double> errors(static_cast<size_t>(options.steps) + 1, 0.0);
      share.ParallelFor(options.steps + 1, [&](int64_t step) {
        const auto scales = PowerScales(means, static_cast<float>(step) / static_cast<float>(options.steps));
        for (const Sample& sample : samples)
          errors[static_cast<size_t>(step)] += ScaledError(sample, means, scales);
      });
      const auto best = std::ranges::min_element(errors) - errors.begin();
      if (best == 0) continue;
      AddScales(source, *group,
                PowerScales(means, static_cast<float>(best) / static_cast<float>(options.steps)), model);
    }
  }
  return model;
}

Result<ModelScales> SmoothScales(const ModelSource& source, const std::vector<LayerMoments>& moments,
                                 ComputeShare& share, float alpha) {
  ModelScales model;
  for (size_t layer = 0; layer < moments.size(); ++layer) {
    for (const LayerInput input : {LayerInput::kMixer, LayerInput::kMlp}) {
      const auto group = FindGroup(source, static_cast<int>(layer), input);
      if (!group) continue;
      const std::vector<float>& largest = moments[layer][static_cast<size_t>(input)].largest;
      std::vector<float> weights(largest.size(), 0.0f);
      for (const size_t matrix : group->matrices) {
        const SourceTensor& tensor = source.tensors()[matrix];
        std::mutex mutex;
        constexpr int64_t kTaskRows = 32;
        share.ParallelFor((tensor.rows() + kTaskRows - 1) / kTaskRows, [&](int64_t task) {
          std::vector<float> row(weights.size()), most(weights.size(), 0.0f);
          for (int64_t i = task * kTaskRows; i < std::min(tensor.rows(), (task + 1) * kTaskRows); ++i) {
            source.ReadRows(matrix, i, 1, row.data());
            for (size_t j = 0; j < row.size(); ++j) most[j] = std::max(most[j], std::fabs(row[j]));
          }
          const std::lock_guard lock(mutex);
          for (size_t j = 0; j < row.size(); ++j) weights[j] = std::max(weights[j], most[j]);
        });
      }
      std::vector<float> scales(largest.size());
      for (size_t j = 0; j < scales.size(); ++j) {
        // The matrix is multiplied with s where its input is divided.
        scales[j] = std::pow(std::max(largest[j], 1e-5f), alpha) /
                    std::pow(std::max(weights[j], 1e-5f), 1.0f - alpha);
      }
      Centre(scales);
      AddScales(source, *group, scales, model);
    }
  }
  return model;
}

std::unique_ptr<ModelSource> ScaleSource(const ModelSource& source, ModelScales scales) {
  return std::make_unique<ScaledSource>(source, std::move(scales));
}

}  // namespace hone
