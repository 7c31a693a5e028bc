// Forward: the state of one step, and the operations that a family's forward pass is written in. Every
// operation works on the rows that are still active, in parallel over the runner's compute share, and gives a
// row the same bits whatever its neighbours.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/compute_share.h"
#include "core/kernels/attention.h"
#include "core/kernels/device_kernels.h"
#include "core/kernels/rope_table.h"
#include "language/models/batch.h"
#include "language/models/hooks.h"
#include "language/models/model.h"
#include "language/models/visibility.h"

namespace hone {

// Which of the model's rotations a layer uses: Gemma 3 turns its sliding-window layers by another base.
enum class RopeKind : uint8_t { kGlobal, kLocal };

// The rows' working memory, one block for all layers, sized for the largest batch of a runner.
struct ForwardScratch {
  MatrixView<float> hidden;  // [rows, width] the residual stream
  MatrixView<float> normed;  // [rows, width]
  MatrixView<float>
      query;  // [rows, heads * head_dim + 2 * kv_heads * head_dim]: query, key, value side by side
  MatrixView<float> attended;                    // [rows, heads * head_dim]
  MatrixView<float> projected;                   // [rows, width]
  MatrixView<float> gated;                       // [rows, 2 * feed_forward]: gate, up
  MatrixView<float> finished;                    // [rows, width] rows on their way to the head
  std::array<std::span<std::byte>, 2> prepared;  // by ActivationForm
  std::span<float> rope;                         // cos and sin of every row, global and local

  // Bytes for `rows` rows; with `memory` given, the views are laid out there.
  static uint64_t Layout(const ModelConfig& config, int64_t rows, std::byte* memory, ForwardScratch* scratch);
};

class Forward {
 public:
  struct QueryKeyValue {
    MatrixView<float> query, key, value;
  };
  struct GateUp {
    MatrixView<float> gate, up;
  };

  Forward(const Model& model, const Batch& batch, NumericMode mode, const DeviceKernels& kernels,
          ComputeShare& share, const MatmulTable& matmul_table, ForwardScratch& scratch,
          MemoryAccount& scratch_account, Buffer& attention_scratch, std::span<RowHook* const> hooks,
          std::span<Observer* const> observers, OperatorTimes* times = nullptr);

  // What each layer subtracts in its softmax, [layers][kv_heads]; not called: the running maximum.
  void UseSoftmax(std::span<const std::vector<SoftmaxScale>> softmax) { softmax_ = softmax; }

  // --- what a family's forward pass is written in
  int64_t rows() const { return static_cast<int64_t>(active_.size()); }
  const Batch& batch() const { return batch_; }
  const Row& row(int64_t i) const {
    return batch_.rows[static_cast<size_t>(active_[static_cast<size_t>(i)])];
  }
  MatrixView<float> hidden() const { return scratch_.hidden.slice_rows(0, rows()); }

  // RMSNorm of every row into scratch: [rows, width].
  MatrixView<float> Norm(MatrixView<const float> x, std::span<const float> weight);
  // RMSNorm in place: of each row, or of each head of `head_dim` values in it.
  void NormInPlace(MatrixView<float> x, std::span<const float> weight);
  // x W^T + bias for three matrices, or for one that holds the three on top of each other.
  QueryKeyValue ProjectQueryKeyValue(MatrixView<const float> x, const Linear& query, const Linear& key,
                                     const Linear& value);
  QueryKeyValue ProjectQueryKeyValue(MatrixView<const float> x, const Linear& fused);
  GateUp ProjectGateUp(MatrixView<const float> x, const Linear& gate, const Linear& up);
  GateUp ProjectGateUp(MatrixView<const float> x, const Linear& fused);
  // [rows, width]
  MatrixView<float> Project(MatrixView<const float> x, const Linear& linear);
  void Rotate(RopeKind kind, const QueryKeyValue& qkv);
  // Appends keys and values to the layer's cache, then attends: [rows, heads * head_dim].
  MatrixView<float> Attend(int layer, MatrixView<const float> mixer_input, const QueryKeyValue& qkv);
  // gate = activation(gate) * up
  MatrixView<float> Gate(GateActivation activation, int layer, const GateUp& gate_up);
  // hidden += x, where x is a mixer's or an MLP's output.
  void AddToHidden(MatrixView<const float> x);
  void Observe(Tensor tensor, int layer, MatrixView<const float> values);
  // The embedding rows of the batch's tokens, times `scale`, into hidden; embedding rows are taken as they
  // are.
  void LookUp(const Linear& embedding, float scale);

  // --- what the runner does between the pieces
  void CallHooks(Seam seam, int layer);
  // Fails if a row of the residual stream holds a value that is not finite.
  void CheckFinite(int layer);
  // Takes every row that is still active to where the head reads it.
  void FinishAll();
  // The rows of the batch that reached the head and want logits, rising.
  std::vector<int64_t> RowsForHead() const;
  // Copies finished rows into scratch for the head: [batch_rows.size(), width].
  MatrixView<float> Gather(std::span<const int64_t> batch_rows);
  // y = x W^T + bias, y [x.rows, W.rows]; or only the given rows of W, y [x.rows, ids.size()].
  void Multiply(MatrixView<const float> x, const Linear& linear, MatrixView<float> y);
  void MultiplyRows(MatrixView<const float> x, const Linear& linear, std::span<const TokenId> ids,
                    MatrixView<float> y);
  // x *= factor
  void Scale(float factor, MatrixView<float> x) { kernels_.Scale(share_, factor, x); }

  void Fail(Error error) {
    if (!error_) error_ = std::move(error);
  }
  const std::optional<Error>& error() const { return error_; }
  // By layer.
  std::span<const AttentionCounters> attention_counters() const { return counters_; }
  ComputeShare& share() const { return share_; }
  OperatorTimes* times() const { return times_; }

 private:
  class Rows;
  struct Target {
    const Linear* linear;
    MatrixView<float> y;
  };
  // The products of x with several matrices side by side.
  void MultiplyAll(MatrixView<const float> x, std::span<const Target> targets);
  Product Prepare(MatrixView<const float> x, const Target& target, std::array<Activations, 2>& prepared);
  void FillRope();
  // Which entries the sequence's rows attend to.
  std::span<const RowView> Views(int layer, size_t sequence, MatrixView<const float> query);
  void AppendToCaches(int layer, MatrixView<const float> mixer_input, const QueryKeyValue& qkv);
  void AttendToCaches(int layer, MatrixView<const float> query, MatrixView<float> output);
  void ListSequences();

  const Model& model_;
  const ModelConfig& config_;
  const Batch& batch_;
  NumericMode mode_;
  const DeviceKernels& kernels_;
  ComputeShare& share_;
  const MatmulTable& matmul_table_;
  ForwardScratch& scratch_;
  MemoryAccount& scratch_account_;
  Buffer& attention_scratch_;
  std::span<RowHook* const> hooks_;
  std::span<Observer* const> observers_;
  OperatorTimes* times_;

  std::vector<int64_t> active_;    // batch rows, rising
  std::vector<uint8_t> finished_;  // by batch row: it waits in scratch_.finished
  // The active rows of each sequence, as indices into its rows, and where they begin among the active rows.
  struct ActiveSequence {
    int64_t first = 0;
    std::vector<int64_t> rows;
    std::vector<Position> positions;
    std::vector<int32_t> segments;
  };
  std::vector<ActiveSequence> sequences_;
  Visibility visibility_;
  std::vector<SelectedViews> selected_;  // by sequence
  std::span<const std::vector<SoftmaxScale>> softmax_;
  std::vector<AttentionCounters> counters_;  // by layer
  std::optional<Error> error_;
};

}  // namespace hone
