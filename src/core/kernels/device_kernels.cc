#include "core/kernels/device_kernels.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <vector>

#include "core/kernels/named_kernels.h"

namespace hone {
namespace {

// Up to here a row-wise operation is cheaper on the calling thread than a fork.
constexpr int64_t kInlineRows = 4;
// Rows are prepared for a product in groups; slices keep to them.
constexpr int64_t kRowSlice = 8;

// Rows [begin, end) of the weights of one product.
void MultiplyRange(const Product& product, int64_t begin, int64_t end) {
  const WeightFormat& format = *product.w.format;
  const MatrixView<float>& y = product.y;
  format.Multiply({product.w, product.x, begin, end, y, product.choice.kernel});
  if (product.bias.empty()) return;
  const auto bias = product.bias.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  for (int64_t i = 0; i < y.rows; ++i) AddTo(bias, {y.row(i) + begin, bias.size()});
}

class CpuKernels final : public DeviceKernels {
 public:
  void ReadRows(ComputeShare& share, const PackedMatrix& w, std::span<const int64_t> ids, float scale,
                MatrixView<float> y) const override {
    ForRows(share, y.rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t id = ids[static_cast<size_t>(i)];
        if (id < 0) continue;
        w.format->ReadRow(w, id, y.row_span(i));
        if (scale != 1.0f) hone::Scale(scale, y.row_span(i));
      }
    });
  }

  void Norm(ComputeShare& share, MatrixView<const float> x, std::span<const float> w, float epsilon,
            MatrixView<float> y) const override {
    ForRows(share, x.rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (size_t at = 0; at < static_cast<size_t>(x.columns); at += w.size())
          RmsNorm(x.row_span(i).subspan(at, w.size()), w, epsilon, y.row_span(i).subspan(at, w.size()));
      }
    });
  }

  void Prepare(ComputeShare& share, ActivationForm form, MatrixView<const float> x,
               std::byte* data) const override {
    ForRows(share, x.rows, [&](int64_t begin, int64_t end) { hone::Prepare(form, x, begin, end, data); });
  }

  void Multiply(ComputeShare& share, std::span<const Product> products) const override {
    std::array<int64_t, kMostProducts> rows, most;
    for (size_t p = 0; p < products.size(); ++p) {
      rows[p] = products[p].w.rows;
      most[p] = products[p].choice.rows_per_task;
    }
    std::vector<MatmulCut> cuts;
    CutProducts({rows.data(), products.size()}, {most.data(), products.size()}, share.threads(), cuts);
    share.ParallelFor(static_cast<int64_t>(cuts.size()), [&](int64_t task) {
      const MatmulCut& cut = cuts[static_cast<size_t>(task)];
      MultiplyRange(products[cut.product], cut.begin, cut.end);
    });
  }

  void MultiplyRows(ComputeShare& share, const Product& product,
                    std::span<const int32_t> ids) const override {
    const WeightFormat& format = *product.w.format;
    share.ParallelFor(static_cast<int64_t>(ids.size()), [&](int64_t task) {
      // The group of rows that holds the id.
      const int64_t id = ids[static_cast<size_t>(task)];
      const int64_t begin = id / kRowGroup * kRowGroup;
      const int64_t end = std::min(begin + kRowGroup, product.w.rows);
      const PackedMatrix group{&format, end - begin, product.w.columns,
                               product.w.data + begin / kRowGroup * format.GroupBytes(product.w.columns)};
      std::vector<float> values(static_cast<size_t>(product.x.rows * (end - begin)));
      const MatrixView<float> view(values.data(), product.x.rows, end - begin);
      format.Multiply({group, product.x, 0, end - begin, view, product.choice.kernel});
      for (int64_t i = 0; i < product.x.rows; ++i) {
        const float bias = product.bias.empty() ? 0.0f : product.bias[static_cast<size_t>(id)];
        product.y.row(i)[task] = view.row(i)[id - begin] + bias;
      }
    });
  }

  void Rotate(ComputeShare& share, RopePairs layout, MatrixView<const float> angles, int head_dim,
              MatrixView<float> x) const override {
    const auto pairs = static_cast<size_t>(angles.columns / 2);
    ForRows(share, x.rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float* cos = angles.row(i);
        for (int64_t at = 0; at < x.columns; at += head_dim) {
          Rope(layout, {cos, pairs}, {cos + pairs, pairs}, {x.row(i) + at, static_cast<size_t>(head_dim)});
        }
      }
    });
  }

  void Attend(ComputeShare& share, const AttentionShape& shape, std::span<const AttentionItem> items,
              MatrixView<const float> query, MatrixView<float> output, std::span<std::byte> scratch,
              AttentionCounters* counters) const override {
    Attention(share, shape, items, query, output, scratch, counters);
  }

  void Gate(ComputeShare& share, GateActivation activation, MatrixView<float> gate,
            MatrixView<const float> up) const override {
    const auto times = activation == GateActivation::kSilu ? SiluTimes : GeluTimes;
    ForRows(share, gate.rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) times(gate.row_span(i), up.row_span(i), gate.row_span(i));
    });
  }

  void Add(ComputeShare& share, MatrixView<const float> x, MatrixView<float> y) const override {
    ForRows(share, x.rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) AddTo(x.row_span(i), y.row_span(i));
    });
  }

  void Scale(ComputeShare& share, float factor, MatrixView<float> x) const override {
    ForRows(share, x.rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) hone::Scale(factor, x.row_span(i));
    });
  }

  void CopyRows(MatrixView<const float> x, std::span<const int64_t> from, MatrixView<float> y,
                std::span<const int64_t> to) const override {
    for (size_t i = 0; i < from.size(); ++i) {
      std::memmove(y.row(to[i]), x.row(from[i]), static_cast<size_t>(x.columns) * sizeof(float));
    }
  }

  int64_t FindNotFinite(ComputeShare& share, MatrixView<const float> x) const override {
    std::atomic<int64_t> bad{-1};
    ForRows(share, x.rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (!AllFinite(x.row_span(i))) bad = i;
      }
    });
    return bad;
  }
};

}  // namespace

Result<const DeviceKernels*> FindKernels(std::string_view device) {
  static const CpuKernels cpu;
  if (device == "cpu") return &cpu;
  if (const DeviceKernels* named = FindNamedKernels(device)) return named;
  return WrongUsage("device: {}, expected cpu: this program has kernels for no other", device);
}

void ForRows(ComputeShare& share, int64_t rows, FunctionRef<void(int64_t begin, int64_t end)> body) {
  if (rows <= kInlineRows || share.threads() == 1) {
    if (rows > 0) body(0, rows);
    return;
  }
  const int64_t slices = 4 * share.threads();
  const int64_t size =
      std::max(kRowSlice, ((rows + slices - 1) / slices + kRowSlice - 1) / kRowSlice * kRowSlice);
  share.ParallelFor((rows + size - 1) / size,
                    [&](int64_t task) { body(task * size, std::min(rows, (task + 1) * size)); });
}

}  // namespace hone
