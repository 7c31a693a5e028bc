// The operators of a forward pass on one device, each on whole matrices of rows. A runner names its device
// and looks its kernels up once; what a model's forward pass is written in calls them, and a model file
// cannot tell where it runs. Every operator treats each row on its own, so that a row's bits do not depend on
// its neighbours.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/compute_share.h"
#include "core/base/result.h"
#include "core/kernels/attention.h"
#include "core/kernels/elementwise.h"
#include "core/kernels/matmul_table.h"

namespace hone {

// What a gated MLP does to its gate.
enum class GateActivation : uint8_t { kSilu, kGelu };

// Products that run side by side, at most.
inline constexpr size_t kMostProducts = 4;
// One of several products that run side by side.
struct Product {
  PackedMatrix w;
  Activations x;
  std::span<const float> bias;  // [N]; empty: none
  MatrixView<float> y;          // [M, N]
  MatmulChoice choice;
};

class DeviceKernels {
 public:
  virtual ~DeviceKernels() = default;

  // y[i] = scale * W[ids[i]]; rows with a negative id stay as they are.
  virtual void ReadRows(ComputeShare& share, const PackedMatrix& w, std::span<const int64_t> ids, float scale,
                        MatrixView<float> y) const = 0;
  // RmsNorm of every stretch of w.size() columns; y may be x.
  virtual void Norm(ComputeShare& share, MatrixView<const float> x, std::span<const float> w, float epsilon,
                    MatrixView<float> y) const = 0;
  // See Prepare in matmul.h; `data` holds PreparedBytes.
  virtual void Prepare(ComputeShare& share, ActivationForm form, MatrixView<const float> x,
                       std::byte* data) const = 0;
  virtual void Multiply(ComputeShare& share, std::span<const Product> products) const = 0;
  // y[m, i] = the product of row m with weight row ids[i], with the bits of the whole product.
  virtual void MultiplyRows(ComputeShare& share, const Product& product,
                            std::span<const int32_t> ids) const = 0;
  // Rotates every stretch of head_dim columns; angles [rows, 2 pairs]: cosines, then sines.
  virtual void Rotate(ComputeShare& share, RopePairs layout, MatrixView<const float> angles, int head_dim,
                      MatrixView<float> x) const = 0;
  virtual void Attend(ComputeShare& share, const AttentionShape& shape, std::span<const AttentionItem> items,
                      MatrixView<const float> query, MatrixView<float> output, std::span<std::byte> scratch,
                      AttentionCounters* counters) const = 0;
  // gate = activation(gate) * up
  virtual void Gate(ComputeShare& share, GateActivation activation, MatrixView<float> gate,
                    MatrixView<const float> up) const = 0;
  virtual void Add(ComputeShare& share, MatrixView<const float> x, MatrixView<float> y) const = 0;  // y += x
  virtual void Scale(ComputeShare& share, float factor, MatrixView<float> x) const = 0;
  // y[to[i]] = x[from[i]] for rising i; y may be x where no to[i] is a later from[j].
  virtual void CopyRows(MatrixView<const float> x, std::span<const int64_t> from, MatrixView<float> y,
                        std::span<const int64_t> to) const = 0;
  // A row that holds a NaN or infinity, or -1.
  virtual int64_t FindNotFinite(ComputeShare& share, MatrixView<const float> x) const = 0;
};

// The kernels of a device by its name ("cpu"); an error names the devices that this program has.
Result<const DeviceKernels*> FindKernels(std::string_view device);

// Runs body(begin, end) over slices of [0, rows) in parallel; few rows run inline.
void ForRows(ComputeShare& share, int64_t rows, FunctionRef<void(int64_t begin, int64_t end)> body);

}  // namespace hone
