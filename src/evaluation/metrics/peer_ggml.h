// The kernels of llama.cpp, or of a fork, beside which hone's are measured: ggml's shared libraries, loaded
// at run time from a folder that the user names. Nothing links them. Weights stand as they do in a file: ggml
// packs them otherwise only in buffers of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/kernels/attention.h"
#include "core/tensor/dtype.h"

namespace hone {

class PeerGgml {
 public:
  virtual ~PeerGgml() = default;
  // A graph of ggml's that can be run again and again.
  class Graph {
   public:
    virtual ~Graph() = default;
    virtual void Run() = 0;
  };

  // y = x W^T for float x [m, k] and `copies` matrices W [n, k] one after the other; null where ggml lacks
  // the memory.
  virtual std::unique_ptr<Graph> Products(DType type, int64_t m, int64_t n, int64_t k, int copies) const = 0;
  // Attention of `rows` new rows at the end of `copies` caches of `entries` entries of float16 each, which
  // they see causally: ggml_flash_attn_ext.
  virtual std::unique_ptr<Graph> Attention(const AttentionShape& shape, int64_t rows, int64_t entries,
                                           int copies) const = 0;
};

// Loads libggml-base.so and libggml-cpu.so, or libggml.so where it holds both, from `folder`.
Result<std::unique_ptr<PeerGgml>> LoadPeerGgml(const std::string& folder, int threads);

}  // namespace hone
