#include "evaluation/explain/operator_work.h"

#include <algorithm>

namespace hone {
namespace {

constexpr double kFloatBytes = 4.0;
// Operations a value, about: a square and two products; a rotation; an exponential and a division by
// polynomials.
constexpr double kNormOperations = 4.0;
constexpr double kRopeOperations = 3.0;
constexpr double kActivationOperations = 20.0;

// One step of `rows` new tokens for each of `sequences`, each holding `context` entries.
class StepCounter {
 public:
  StepCounter(const Model& model, NumericMode mode, int64_t sequences, int64_t context, int64_t rows)
      : model_(model),
        config_(model.config()),
        mode_(mode),
        sequences_(static_cast<double>(sequences)),
        context_(context),
        step_rows_(rows),
        rows_(static_cast<double>(sequences * rows)) {}

  WorkByOperator Count() {
    for (const WeightInfo& weight : model_.weights()) Add(weight);
    AddEmbedding();
    AddCacheAndAttention();
    const double layers = config_.layers;
    const double width = config_.width;
    const double rotated = static_cast<double>(config_.heads + config_.kv_heads) * config_.rope_dimensions;
    Of(Operator::kRope) += {.activation_bytes = layers * rows_ * rotated * 2 * kFloatBytes,
                            .float_operations = layers * rows_ * rotated * kRopeOperations};
    const double feed = static_cast<double>(config_.feed_forward);
    Of(Operator::kActivation) += {.activation_bytes = layers * rows_ * feed * 3 * kFloatBytes,
                                  .float_operations = layers * rows_ * feed * kActivationOperations};
    Of(Operator::kSampling) +=
        {.activation_bytes = sequences_ * static_cast<double>(config_.vocabulary) * 2 * kFloatBytes,
         .float_operations = sequences_ * static_cast<double>(config_.vocabulary)};
    // Two sums into the residual stream and one check of it.
    Of(Operator::kOther) += {.activation_bytes = layers * rows_ * width * 7 * kFloatBytes,
                             .float_operations = layers * rows_ * width * 3};
    return work_;
  }

 private:
  OperatorWork& Of(Operator op) { return work_[static_cast<size_t>(op)]; }

  void Add(const WeightInfo& weight) {
    if (weight.op == Operator::kEmbedding) return;
    if (weight.op == Operator::kNorm) return AddNorm(weight);
    const double rows = weight.op == Operator::kHead ? sequences_ : rows_;
    OperatorWork& work = Of(weight.op);
    work.weight_bytes += static_cast<double>(weight.bytes);
    if (weight.rows == 1) return;  // a bias
    const double n = static_cast<double>(weight.rows), k = static_cast<double>(weight.columns);
    const bool bytes = FindWeightFormat(weight.type)->form(mode_) == ActivationForm::kInt8;
    const double times = bytes && weight.op == Operator::kQueryKeyValue ? 2.0 : 1.0;
    (bytes ? work.byte_operations : work.float_operations) += 2.0 * times * rows * n * k;
    work.activation_bytes += rows * (n + times * k) * kFloatBytes;
  }

  // A norm of the width runs once a row, one of the head size over all its heads.
  void AddNorm(const WeightInfo& weight) {
    double values = static_cast<double>(weight.columns);
    if (weight.name.find("attn_q_norm") != std::string::npos) values *= config_.heads;
    if (weight.name.find("attn_k_norm") != std::string::npos) values *= config_.kv_heads;
    const double rows = weight.name.starts_with("output_norm") ? sequences_ : rows_;
    Of(Operator::kNorm) += {.weight_bytes = static_cast<double>(weight.bytes),
                            .activation_bytes = rows * values * 2 * kFloatBytes,
                            .float_operations = rows * values * kNormOperations};
  }

  void AddEmbedding() {
    const WeightInfo& table = model_.weights().front();
    const double row_bytes = static_cast<double>(table.bytes) / static_cast<double>(table.rows);
    Of(Operator::kEmbedding) += {.weight_bytes = rows_ * row_bytes,
                                 .activation_bytes = rows_ * config_.width * kFloatBytes,
                                 .float_operations = rows_ * config_.width};
  }

  void AddCacheAndAttention() {
    const double value_bytes = mode_ == NumericMode::kExact ? 4.0 : 2.0;
    const double entry_bytes = 2.0 * config_.kv_heads * config_.head_dim * value_bytes;
    const double query = static_cast<double>(config_.heads) * config_.head_dim;
    for (const int window : config_.window) {
      Of(Operator::kKvAppend) +=
          {.kv_bytes = rows_ * entry_bytes,
           .activation_bytes = rows_ * 2.0 * config_.kv_heads * config_.head_dim * kFloatBytes};
      double seen = 0.0;  // entries that the rows of one sequence see, summed over them
      for (int64_t row = 0; row < step_rows_; ++row) {
        const int64_t entries = context_ + row + 1;
        seen += static_cast<double>(window > 0 ? std::min<int64_t>(entries, window) : entries);
      }
      int64_t read = context_ + step_rows_;
      if (window > 0) read = std::min<int64_t>(read, window + step_rows_ - 1);
      Of(Operator::kAttention) += {.kv_bytes = sequences_ * static_cast<double>(read) * entry_bytes,
                                   .activation_bytes = rows_ * 2.0 * query * kFloatBytes,
                                   .float_operations = 4.0 * sequences_ * seen * query};
    }
  }

  const Model& model_;
  const ModelConfig& config_;
  NumericMode mode_;
  double sequences_;
  int64_t context_;
  int64_t step_rows_;  // of one sequence
  double rows_;        // of all
  WorkByOperator work_{};
};

}  // namespace

OperatorWork& OperatorWork::operator+=(const OperatorWork& other) {
  weight_bytes += other.weight_bytes;
  kv_bytes += other.kv_bytes;
  activation_bytes += other.activation_bytes;
  float_operations += other.float_operations;
  byte_operations += other.byte_operations;
  return *this;
}

WorkByOperator CountWork(const Model& model, NumericMode mode, const StepShape& shape) {
  WorkByOperator total{};
  const int64_t most = std::max<int64_t>(1, shape.step_rows / shape.sequences);
  for (int64_t done = 0; done < shape.rows; done += most) {
    const int64_t rows = std::min(most, shape.rows - done);
    const WorkByOperator step = StepCounter(model, mode, shape.sequences, shape.context + done, rows).Count();
    for (size_t i = 0; i < kOperators; ++i) total[i] += step[i];
  }
  return total;
}

}  // namespace hone
