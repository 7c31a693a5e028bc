#include "language/quantization/quantize_model.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include "core/formats/gguf/gguf_stream.h"
#include "core/kernels/elementwise.h"

namespace hone {
namespace {

// A task takes some 0.2 ms; a slab is what all threads work on while the one before it is written.
constexpr int64_t kTaskWeights = 16 << 10;
constexpr int64_t kSlabWeights = 1 << 20;
constexpr float kLargestHalf = 65504.0f;
constexpr uint32_t kBlockVersion = 2;  // general.quantization_version of today's block layouts

bool IsQuantized(DType type) { return Info(type).elements > 1; }

Result<void> CheckImportance(const ModelSource& source, const QuantizeOptions& options,
                             const QuantizePlan& plan) {
  for (size_t i = 0; i < plan.choices.size(); ++i) {
    const SourceTensor& tensor = source.tensors()[i];
    const bool known = options.importance != nullptr && options.importance->contains(tensor.name);
    if (known && options.importance->at(tensor.name).size() != static_cast<size_t>(tensor.columns())) {
      return BadInput(source.path(), tensor.name, "importance of {} columns, expected {}",
                      options.importance->at(tensor.name).size(), tensor.columns());
    }
    const bool needed = options.mix.name == "Q2_K_S" && plan.choices[i].type == DType::kQ2_K;
    if (needed && !known && tensor.name != "token_embd.weight") {
      return BadInput(source.path(), tensor.name,
                      "no importance, which Q2_K_S needs for every matrix (--method importance --text FILE)");
    }
  }
  return {};
}

Result<void> CheckConsent(const ModelSource& source, const QuantizeOptions& options,
                          const QuantizePlan& plan) {
  if (options.no_substitutes && !plan.substitutes.empty()) {
    const Substitute& first = plan.substitutes.front();
    return BadInput(source.path(), first.name,
                    "rows of {} values do not fit {}, and substitutes ({}) are not allowed", first.columns,
                    Info(first.wanted).name, Info(first.type).name);
  }
  if (!options.allow_requantize && !plan.requantized.empty()) {
    const std::string& name = plan.requantized.front();
    const auto tensor = std::ranges::find(source.tensors(), name, &SourceTensor::name);
    return BadInput(source.path(), name,
                    "is {} already, and quantizing it again loses more (--allow-requantize consents)",
                    Info(tensor->type).name);
  }
  return {};
}

void SetMetadata(const ModelSource& source, const QuantizeOptions& options, const QuantizePlan& plan,
                 GgufHeader& header) {
  header.Set("general.file_type", options.mix.file_type);
  header.Set("general.quantization_version", kBlockVersion);
  header.SetText("hone.quantize.method", options.method);
  header.Set("hone.quantize.bits_per_weight", static_cast<float>(plan.bits_per_weight()));
  std::vector<std::string> lines;
  for (const Substitute& substitute : plan.substitutes) {
    lines.push_back(fmt::format("{}: {} -> {}", substitute.name, Info(substitute.wanted).name,
                                Info(substitute.type).name));
  }
  if (!lines.empty()) header.SetTexts("hone.quantize.substitutes", lines);
  std::set<std::string> types;
  for (const SourceTensor& tensor : source.tensors()) {
    if (std::ranges::find(plan.requantized, tensor.name) != plan.requantized.end())
      types.insert(std::string(Info(tensor.type).name));
  }
  const std::vector<std::string> list(types.begin(), types.end());
  if (!list.empty()) header.SetTexts("hone.quantize.requantized_from", list);
}

// Everything that the bytes depend on besides the header.
std::string MakeKey(const ModelSource& source, const QuantizeOptions& options) {
  uint64_t hash = 0;
  if (options.importance != nullptr) {
    for (const auto& [name, values] : *options.importance) {
      hash = XXH3_64bits_withSeed(name.data(), name.size(), hash);
      hash = XXH3_64bits_withSeed(values.data(), values.size() * sizeof(float), hash);
    }
  }
  return fmt::format("{}|{}|{}|{}|{:016x}", source.Identity(), options.method,
                     static_cast<int>(options.rounding), options.key, hash);
}

// Counts the finite values that F16 cannot hold, and holds them at its largest one.
int64_t HoldInHalfRange(std::span<float> values) {
  constexpr float kFirstBeyond = 65520.0f;  // half way to 2^16; below it rounding gives 65504
  int64_t beyond = 0;
  for (float& value : values) {
    if (std::fabs(value) < kFirstBeyond) continue;
    value = std::copysign(kLargestHalf, value);
    ++beyond;
  }
  return beyond;
}

struct FirstBad {
  std::atomic<int64_t> row{std::numeric_limits<int64_t>::max()};
  void Note(int64_t found) {
    int64_t known = row.load();
    while (found < known && !row.compare_exchange_weak(known, found)) {
    }
  }
  bool any() const { return row.load() != std::numeric_limits<int64_t>::max(); }
};

class TensorWriter {
 public:
  TensorWriter(const ModelSource& source, const QuantizeOptions& options, GgufStream& stream,
               ComputeShare& share, QuantizeReport& report)
      : source_(source), options_(options), stream_(stream), share_(share), report_(report) {}

  // Tensor `index` from the stream's place in it to its end.
  Result<void> Write(size_t index) {
    const SourceTensor& tensor = source_.tensors()[index];
    const DType type = report_.plan.choices[index].type;
    const int64_t row_bytes = RowBytes(type, tensor.columns());
    const int64_t first = static_cast<int64_t>(stream_.offset()) / row_bytes;
    const int64_t slab = std::max<int64_t>(1, kSlabWeights / tensor.columns());
    const bool converts = type != tensor.type;
    whole_ = false;
    if (converts && options_.matrices != nullptr) {
      HONE_TRY(whole_, options_.matrices->Prepare(tensor, type, share_));
    }
    for (int64_t begin = first; begin < tensor.rows(); begin += slab) {
      const int64_t count = std::min(slab, tensor.rows() - begin);
      if (type == tensor.type && !source_.RawRows(index, begin, count).empty()) {
        HONE_CHECK_OK(WritePending());
        HONE_CHECK_OK(WriteBytes(source_.RawRows(index, begin, count)));
      } else {
        HONE_CHECK_OK(MakeSlab(index, type, begin, count));
      }
      source_.Drop(index, begin, count);
    }
    return {};
  }

  // Writes the last slab.
  Result<void> WritePending() {
    const std::vector<std::byte> bytes = std::exchange(pending_, {});
    return WriteBytes(bytes);
  }

  void Start(uint64_t total, uint64_t done) {
    total_ = total;
    done_ = done;
  }

 private:
  // Computes the rows while the slab before them is written.
  Result<void> MakeSlab(size_t index, DType type, int64_t begin, int64_t count) {
    const SourceTensor& tensor = source_.tensors()[index];
    const int64_t columns = tensor.columns();
    const int64_t row_bytes = RowBytes(type, columns);
    const int64_t task_rows = std::max<int64_t>(1, kTaskWeights / columns);
    const float* importance = nullptr;
    if (options_.importance != nullptr) {
      const auto found = options_.importance->find(tensor.name);
      if (found != options_.importance->end()) importance = found->second.data();
    }
    working_.resize(static_cast<size_t>(count * row_bytes));
    FirstBad bad;
    std::atomic<int64_t> beyond{0};
    Result<void> written;
    share_.ParallelFor((count + task_rows - 1) / task_rows + 1, [&](int64_t task) {
      if (task == 0) {
        written = WriteBytes(pending_);
        return;
      }
      const int64_t from = (task - 1) * task_rows;
      const int64_t rows = std::min(task_rows, count - from);
      thread_local std::vector<float> values;
      values.resize(static_cast<size_t>(rows * columns));
      source_.ReadRows(index, begin + from, rows, values.data());
      if (!AllFinite(values)) return bad.Note(begin + from);
      if (type == DType::kF16) beyond += HoldInHalfRange(values);
      std::byte* out = working_.data() + from * row_bytes;
      if (whole_) return options_.matrices->Quantize(type, values.data(), rows, columns, out);
      QuantizeRows(type, values.data(), rows, columns, importance, options_.rounding, out);
    });
    if (bad.any()) return NotFinite(index, bad.row.load());
    HONE_CHECK_OK(written);
    report_.out_of_range += beyond.load();
    std::swap(pending_, working_);
    return {};
  }

  Result<void> NotFinite(size_t index, int64_t row) const {
    const SourceTensor& tensor = source_.tensors()[index];
    std::vector<float> values(static_cast<size_t>(tensor.columns()));
    for (; row < tensor.rows(); ++row) {
      source_.ReadRows(index, row, 1, values.data());
      for (size_t column = 0; column < values.size(); ++column) {
        if (std::isfinite(values[column])) continue;
        return BadInput(source_.path(), tensor.name, "row {}, column {}: {}, expected a finite number", row,
                        column, values[column]);
      }
    }
    return BadInput(source_.path(), tensor.name, "not finite, expected finite numbers");
  }

  Result<void> WriteBytes(std::span<const std::byte> bytes) {
    if (bytes.empty()) return {};
    HONE_CHECK_OK(stream_.Write(bytes));
    done_ += bytes.size();
    const auto now = std::chrono::steady_clock::now();
    if (now - noted_ > std::chrono::milliseconds(500)) {
      noted_ = now;
      HONE_CHECK_OK(stream_.Checkpoint());
    }
    if (options_.progress) options_.progress(done_, total_);
    return {};
  }

  const ModelSource& source_;
  const QuantizeOptions& options_;
  GgufStream& stream_;
  ComputeShare& share_;
  QuantizeReport& report_;
  bool whole_ = false;              // the tensor's rows go to options_.matrices
  std::vector<std::byte> pending_;  // computed, not written yet
  std::vector<std::byte> working_;
  uint64_t done_ = 0;
  uint64_t total_ = 0;
  std::chrono::steady_clock::time_point noted_ = std::chrono::steady_clock::now();
};

}  // namespace

Result<QuantizePlan> PlanQuantization(const ModelSource& source, const QuantizeOptions& options) {
  std::vector<NamedShape> shapes;
  for (const SourceTensor& tensor : source.tensors())
    shapes.push_back({tensor.name, tensor.shape, tensor.type});
  const ModelConfig& config = source.config();
  const MixedModel model{
      config.layers, config.heads, config.kv_heads,
      std::ranges::find(source.tensors(), "output.weight", &SourceTensor::name) == source.tensors().end(),
      options.importance != nullptr};
  QuantizePlan plan;
  HONE_TRY(plan.choices, ChooseTypes(options.mix, model, shapes, options.forced, options.uniform));
  for (size_t i = 0; i < plan.choices.size(); ++i) {
    const SourceTensor& tensor = source.tensors()[i];
    const TypeChoice& choice = plan.choices[i];
    if (choice.type != choice.wanted)
      plan.substitutes.push_back({tensor.name, tensor.columns(), choice.wanted, choice.type});
    if (choice.type != tensor.type && IsQuantized(choice.type) && IsQuantized(tensor.type))
      plan.requantized.push_back(tensor.name);
    plan.source_bytes += static_cast<uint64_t>(RowBytes(tensor.type, tensor.columns()) * tensor.rows());
    plan.bytes += static_cast<uint64_t>(RowBytes(choice.type, tensor.columns()) * tensor.rows());
    plan.weights += tensor.rows() * tensor.columns();
  }
  HONE_CHECK_OK(CheckConsent(source, options, plan));
  if (!options.importance_comes) HONE_CHECK_OK(CheckImportance(source, options, plan));
  return plan;
}

Result<QuantizeReport> QuantizeModel(const ModelSource& source, const QuantizeOptions& options,
                                     const std::string& to, ComputeShare& share) {
  QuantizeReport report;
  HONE_TRY(report.plan, PlanQuantization(source, options));
  GgufHeader header = source.metadata();
  SetMetadata(source, options, report.plan, header);
  for (size_t i = 0; i < report.plan.choices.size(); ++i)
    HONE_CHECK_OK(
        header.AddTensor(source.tensors()[i].name, report.plan.choices[i].type, source.tensors()[i].shape));
  HONE_TRY(GgufStream stream, GgufStream::Open(to, header, MakeKey(source, options)));
  report.resumed = stream.resumed();
  TensorWriter writer(source, options, stream, share, report);
  writer.Start(report.plan.bytes, stream.resumed());
  while (stream.tensor() < source.tensors().size()) {
    HONE_CHECK_OK(writer.Write(stream.tensor()));
    HONE_CHECK_OK(writer.WritePending());
  }
  HONE_CHECK_OK(stream.Finish());
  return report;
}

}  // namespace hone
