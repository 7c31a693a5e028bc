// Products of other libraries, found at run time where they are installed: peers beside which hone's kernels
// are measured. Nothing links them.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace hone {

// y [M, N] = x [M, K] W^T, W [N, K]; row-major, in any order of sums.
class PeerProducts {
 public:
  virtual ~PeerProducts() = default;
  // float32 throughout: cblas_sgemv for one row, else cblas_sgemm of OpenBLAS. Null where it is not
  // installed.
  virtual bool has_floats() const = 0;
  virtual void MultiplyFloats(int64_t m, int64_t n, int64_t k, const float* x, const float* w,
                              float* y) const = 0;
  // int8 into int32, one scale for all: dnnl_gemm_s8s8s32 of oneDNN.
  virtual bool has_bytes() const = 0;
  virtual void MultiplyBytes(int64_t m, int64_t n, int64_t k, const int8_t* x, const int8_t* w,
                             int32_t* y) const = 0;
};

// Loads the libraries that are there, with so many threads each. Call it before other threads run: the
// libraries read their number of threads from the environment.
std::unique_ptr<PeerProducts> LoadPeerProducts(int threads);

}  // namespace hone
