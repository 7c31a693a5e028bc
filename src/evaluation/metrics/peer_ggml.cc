#include "evaluation/metrics/peer_ggml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <vector>

namespace hone {
namespace {

// ggml.h
struct Context;
struct Tensor;
struct CGraph;
struct InitParams {
  size_t mem_size;
  void* mem_buffer;
  bool no_alloc;
};
constexpr int kF32 = 0, kF16 = 1;
constexpr size_t kSlack = 1 << 20;
// For what ggml needs while it computes: activations in the form of the weights' dot product.
constexpr size_t kWorkBytes = 64 << 20;
// Scales of 0.066 and codes that are not all alike; as float32 or float16 a small positive number.
constexpr int kFill = 0x2C;

struct Functions {
  Context* (*init)(InitParams);
  void (*free)(Context*);
  Tensor* (*new_tensor_2d)(Context*, int type, int64_t, int64_t);
  Tensor* (*new_tensor_3d)(Context*, int type, int64_t, int64_t, int64_t);
  void* (*get_data)(const Tensor*);
  size_t (*nbytes)(const Tensor*);
  Tensor* (*mul_mat)(Context*, Tensor* w, Tensor* x);
  Tensor* (*flash_attn_ext)(Context*, Tensor* q, Tensor* k, Tensor* v, Tensor* mask, float scale,
                            float max_bias, float softcap);
  CGraph* (*new_graph)(Context*);
  void (*build_forward_expand)(CGraph*, Tensor*);
  size_t (*tensor_overhead)();
  size_t (*graph_overhead)();
  int (*compute)(Context*, CGraph*, int threads);
};

class LoadedGraph final : public PeerGgml::Graph {
 public:
  LoadedGraph(const Functions& functions, int threads, size_t bytes, int nodes)
      : f_(functions), threads_(threads) {
    const size_t objects = static_cast<size_t>(nodes) * 8 + 64;
    context_ =
        f_.init({bytes + objects * (f_.tensor_overhead() + 256) + f_.graph_overhead(), nullptr, false});
    if (context_ != nullptr) graph_ = f_.new_graph(context_);
  }
  LoadedGraph(const LoadedGraph&) = delete;
  LoadedGraph& operator=(const LoadedGraph&) = delete;
  ~LoadedGraph() override {
    if (context_ != nullptr) f_.free(context_);
  }

  bool valid() const { return graph_ != nullptr; }
  Context* context() const { return context_; }
  Tensor* Fill(Tensor* tensor) const {
    std::memset(f_.get_data(tensor), kFill, f_.nbytes(tensor));
    return tensor;
  }
  void Add(Tensor* result) const { f_.build_forward_expand(graph_, result); }
  void Run() override {
    Context* work = f_.init({work_.size(), work_.data(), false});
    f_.compute(work, graph_, threads_);
    f_.free(work);
  }

 private:
  const Functions& f_;
  int threads_;
  Context* context_ = nullptr;
  CGraph* graph_ = nullptr;
  std::vector<std::byte> work_ = std::vector<std::byte>(kWorkBytes);
};

class LoadedGgml final : public PeerGgml {
 public:
  LoadedGgml(const Functions& functions, int threads) : f_(functions), threads_(threads) {}

  std::unique_ptr<Graph> Products(DType type, int64_t m, int64_t n, int64_t k, int copies) const override {
    const auto bytes = static_cast<size_t>(copies * (RowBytes(type, k) * n + 4 * m * n) + 4 * m * k) + kSlack;
    auto graph = std::make_unique<LoadedGraph>(f_, threads_, bytes, copies);
    if (!graph->valid()) return nullptr;
    Tensor* x = graph->Fill(f_.new_tensor_2d(graph->context(), kF32, k, m));
    for (int i = 0; i < copies; ++i) {
      Tensor* w = graph->Fill(f_.new_tensor_2d(graph->context(), Info(type).ggml_id, k, n));
      graph->Add(f_.mul_mat(graph->context(), w, x));
    }
    return graph;
  }

  std::unique_ptr<Graph> Attention(const AttentionShape& shape, int64_t rows, int64_t entries,
                                   int copies) const override {
    const int64_t cache = entries * shape.kv_heads * shape.head_dim;
    const int64_t queries = rows * shape.heads * shape.head_dim;
    const int64_t mask_rows = (rows + 63) / 64 * 64;
    const auto bytes =
        static_cast<size_t>(copies * (4 * cache + 4 * queries) + 4 * queries + 2 * entries * mask_rows) +
        kSlack;
    auto graph = std::make_unique<LoadedGraph>(f_, threads_, bytes, copies);
    if (!graph->valid()) return nullptr;
    Context* context = graph->context();
    Tensor* q = graph->Fill(f_.new_tensor_3d(context, kF32, shape.head_dim, rows, shape.heads));
    Tensor* mask = f_.new_tensor_2d(context, kF16, entries, mask_rows);
    auto* bias = static_cast<uint16_t*>(f_.get_data(mask));
    for (int64_t row = 0; row < mask_rows; ++row) {
      for (int64_t entry = 0; entry < entries; ++entry)
        bias[row * entries + entry] = entry <= entries - rows + row ? 0 : 0xFC00;  // 0 or -infinity
    }
    for (int i = 0; i < copies; ++i) {
      Tensor* key = graph->Fill(f_.new_tensor_3d(context, kF16, shape.head_dim, entries, shape.kv_heads));
      Tensor* value = graph->Fill(f_.new_tensor_3d(context, kF16, shape.head_dim, entries, shape.kv_heads));
      graph->Add(f_.flash_attn_ext(context, q, key, value, mask, shape.scale, 0.0f, 0.0f));
    }
    return graph;
  }

 private:
  Functions f_;
  int threads_;
};

}  // namespace

Result<std::unique_ptr<PeerGgml>> LoadPeerGgml(const std::string& folder, int threads) {
  std::vector<void*> libraries;
  for (const char* name : {"libggml-base.so", "libggml-cpu.so", "libggml.so"}) {
    const std::string path = (std::filesystem::path(folder) / name).string();
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) libraries.push_back(library);
  }
  std::string missing;
  const auto find = [&](auto& function, const char* name) {
    for (void* library : libraries) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      if (function != nullptr) return;
    }
    if (missing.empty()) missing = name;
  };
  Functions f;
  find(f.init, "ggml_init");
  find(f.free, "ggml_free");
  find(f.new_tensor_2d, "ggml_new_tensor_2d");
  find(f.new_tensor_3d, "ggml_new_tensor_3d");
  find(f.get_data, "ggml_get_data");
  find(f.nbytes, "ggml_nbytes");
  find(f.mul_mat, "ggml_mul_mat");
  find(f.flash_attn_ext, "ggml_flash_attn_ext");
  find(f.new_graph, "ggml_new_graph");
  find(f.build_forward_expand, "ggml_build_forward_expand");
  find(f.tensor_overhead, "ggml_tensor_overhead");
  find(f.graph_overhead, "ggml_graph_overhead");
  find(f.compute, "ggml_graph_compute_with_ctx");
  if (!missing.empty()) {
    return BadInput(folder, "ggml",
                    "no {} in its libraries, expected the folder of libggml-base.so and "
                    "libggml-cpu.so, or of libggml.so",
                    missing);
  }
  return std::make_unique<LoadedGgml>(f, threads);
}

}  // namespace hone
