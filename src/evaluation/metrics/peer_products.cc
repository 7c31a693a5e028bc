#include "evaluation/metrics/peer_products.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>

namespace hone {
namespace {

// cblas.h
constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;
using Sgemm = void (*)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float* a,
                       int lda, const float* b, int ldb, float beta, float* c, int ldc);
using Sgemv = void (*)(int order, int trans, int m, int n, float alpha, const float* a, int lda,
                       const float* x, int incx, float beta, float* y, int incy);
// dnnl.h; row-major.
using GemmS8S8S32 = int (*)(char trans_a, char trans_b, char offset_c, int64_t m, int64_t n, int64_t k,
                            float alpha, const int8_t* a, int64_t lda, int8_t ao, const int8_t* b,
                            int64_t ldb, int8_t bo, float beta, int32_t* c, int64_t ldc, const int32_t* co);

// The first library that can be loaded stays loaded until the process ends.
void* Load(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  }
  return nullptr;
}

template <class Function>
Function Find(void* library, const char* name) {
  return library == nullptr ? nullptr : reinterpret_cast<Function>(dlsym(library, name));
}

class LoadedProducts final : public PeerProducts {
 public:
  LoadedProducts() {
    void* blas = Load({"libopenblas.so.0", "libopenblas.so"});
    sgemm_ = Find<Sgemm>(blas, "cblas_sgemm");
    sgemv_ = Find<Sgemv>(blas, "cblas_sgemv");
    void* dnnl = Load({"libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"});
    gemm_s8_ = Find<GemmS8S8S32>(dnnl, "dnnl_gemm_s8s8s32");
  }

  bool has_floats() const override { return sgemm_ != nullptr && sgemv_ != nullptr; }
  void MultiplyFloats(int64_t m, int64_t n, int64_t k, const float* x, const float* w,
                      float* y) const override {
    const int rows = static_cast<int>(m), columns = static_cast<int>(n), depth = static_cast<int>(k);
    if (m == 1) {
      sgemv_(kRowMajor, kNoTranspose, columns, depth, 1.0f, w, depth, x, 1, 0.0f, y, 1);
    } else {
      sgemm_(kRowMajor, kNoTranspose, kTranspose, rows, columns, depth, 1.0f, x, depth, w, depth, 0.0f, y,
             columns);
    }
  }
  bool has_bytes() const override { return gemm_s8_ != nullptr; }
  void MultiplyBytes(int64_t m, int64_t n, int64_t k, const int8_t* x, const int8_t* w,
                     int32_t* y) const override {
    const int32_t zero = 0;
    gemm_s8_('N', 'T', 'F', m, n, k, 1.0f, x, k, 0, w, k, 0, 0.0f, y, n, &zero);
  }

 private:
  Sgemm sgemm_ = nullptr;
  Sgemv sgemv_ = nullptr;
  GemmS8S8S32 gemm_s8_ = nullptr;
};

}  // namespace

std::unique_ptr<PeerProducts> LoadPeerProducts(int threads) {
  const std::string count = std::to_string(threads);
  setenv("OPENBLAS_NUM_THREADS", count.c_str(), 1);
  setenv("OMP_NUM_THREADS", count.c_str(), 1);
  setenv("OMP_WAIT_POLICY", "passive",
         1);  // their idle threads would take a core from whoever is measured next
  return std::make_unique<LoadedProducts>();
}

}  // namespace hone
