// Kernels that round activations before every product: what low-bit activations lose, on any weights.
#pragma once

#include <vector>

#include "core/kernels/device_kernels.h"

namespace hone {

// How activations are rounded.
//   kBlocks: as the fast mode does it (ActivationForm::kInt8): 8 bits, blocks of 32 columns, twice where
//   there
//     are outliers.
//   kToken: asymmetric, one grid a row, any number of bits, before every product of a layer and not before
//     the head (dossier of arXiv 2402.18158).
enum class ActivationRounding : uint8_t { kBlocks, kToken };

struct ActivationSetting {
  ActivationRounding rounding = ActivationRounding::kBlocks;
  int bits = 8;       // kToken
  bool head = false;  // kBlocks: the head's input too
};

// Hands everything on to `inner`. One runner in exact mode uses it: between ReadRows and CopyRows it is in
// the layers.
class RoundingKernels : public DeviceKernels {
 public:
  RoundingKernels(const DeviceKernels& inner, const ActivationSetting& setting)
      : inner_(inner), setting_(setting) {}

  void ReadRows(ComputeShare& share, const PackedMatrix& w, std::span<const int64_t> ids, float scale,
                MatrixView<float> y) const override;
  void Norm(ComputeShare& share, MatrixView<const float> x, std::span<const float> w, float epsilon,
            MatrixView<float> y) const override {
    inner_.Norm(share, x, w, epsilon, y);
  }
  void Prepare(ComputeShare& share, ActivationForm form, MatrixView<const float> x,
               std::byte* data) const override;
  void Multiply(ComputeShare& share, std::span<const Product> products) const override {
    inner_.Multiply(share, products);
  }
  void MultiplyRows(ComputeShare& share, const Product& product,
                    std::span<const int32_t> ids) const override {
    inner_.MultiplyRows(share, product, ids);
  }
  void Rotate(ComputeShare& share, RopePairs layout, MatrixView<const float> angles, int head_dim,
              MatrixView<float> x) const override {
    inner_.Rotate(share, layout, angles, head_dim, x);
  }
  void Attend(ComputeShare& share, const AttentionShape& shape, std::span<const AttentionItem> items,
              MatrixView<const float> query, MatrixView<float> output, std::span<std::byte> scratch,
              AttentionCounters* counters) const override {
    inner_.Attend(share, shape, items, query, output, scratch, counters);
  }
  void Gate(ComputeShare& share, GateActivation activation, MatrixView<float> gate,
            MatrixView<const float> up) const override {
    inner_.Gate(share, activation, gate, up);
  }
  void Add(ComputeShare& share, MatrixView<const float> x, MatrixView<float> y) const override {
    inner_.Add(share, x, y);
  }
  void Scale(ComputeShare& share, float factor, MatrixView<float> x) const override {
    inner_.Scale(share, factor, x);
  }
  void CopyRows(MatrixView<const float> x, std::span<const int64_t> from, MatrixView<float> y,
                std::span<const int64_t> to) const override;
  int64_t FindNotFinite(ComputeShare& share, MatrixView<const float> x) const override {
    return inner_.FindNotFinite(share, x);
  }

 private:
  void Round(std::span<float> row) const;

  const DeviceKernels& inner_;
  ActivationSetting setting_;
  // What the runner is at; the runner is used by one thread at a time.
  mutable bool in_layers_ = false;
  mutable std::vector<float> rounded_;
};

}  // namespace hone
