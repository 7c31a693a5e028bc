// Where techniques take hold of a running batch without touching a model: row hooks change which rows go on,
// observers read named tensors. Both cost nothing when absent.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor/view.h"

namespace hone {

struct Batch;

enum class Seam : uint8_t { kEmbed, kMixer, kLayer };

// The rows that are still under way, after one seam.
class ActiveRows {
 public:
  virtual ~ActiveRows() = default;
  virtual const Batch& batch() const = 0;
  virtual int64_t count() const = 0;
  // Which row of the batch the i-th active row is.
  virtual int64_t batch_row(int64_t i) const = 0;
  // [count, width], the residual stream; may be written (merging rows).
  virtual MatrixView<float> hidden() const = 0;
  // The i-th active row is gone: no later layer, no cache entry in later layers, no output.
  virtual void Drop(int64_t i) = 0;
  // The i-th active row skips the later layers (no cache entries there) and goes to the head as it is.
  virtual void Finish(int64_t i) = 0;
};

class RowHook {
 public:
  virtual ~RowHook() = default;
  // Called after Embed (layer -1), after each layer's mixer and after each layer. Drop and Finish take effect
  // afterwards.
  virtual void After(Seam seam, int layer, ActiveRows& rows) = 0;
};

enum class Tensor : uint8_t {
  kMixerInput,   // after the norm, [rows, width]
  kQuery,        // after norm and RoPE, [rows, heads * head_dim]
  kKey,          // after norm and RoPE, [rows, kv_heads * head_dim]
  kValue,        // [rows, kv_heads * head_dim]
  kAttended,     // input of the output projection, [rows, heads * head_dim]
  kMixerOutput,  // before the residual, [rows, width]
  kMlpInput,     // after the norm, [rows, width]
  kActivation,   // input of the down projection, [rows, feed_forward]
  kHidden,       // residual stream after the layer, [rows, width]
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual bool Wants(Tensor tensor, int layer) const = 0;
  // `batch_rows[i]` is the row of the batch that values.row(i) belongs to.
  virtual void Observe(Tensor tensor, int layer, std::span<const int64_t> batch_rows,
                       MatrixView<const float> values) = 0;
};

}  // namespace hone
