// What happens to a row between two matrix products. Every function treats each row on its own, in one fixed
// order, with the same result on every call; all are float32 in and out.
#pragma once

#include <cstdint>
#include <span>

namespace hone {

// y_i = x_i / sqrt(mean(x^2) + epsilon) * w_i. The order of the sum depends on nothing but the length and the
// CPU target. x and y may be the same. `w` may be empty: all ones. A model that stores w - 1 adds the 1 when
// it loads.
void RmsNorm(std::span<const float> x, std::span<const float> w, float epsilon, std::span<float> y);

// Rotates pairs of x [head_dim] by the angles of one position: (a, b) -> (a cos - b sin, a sin + b cos).
// The first n = 2 * cos.size() elements are rotated, the rest stay. The tables come from
// core/kernels/rope_table.h.
enum class RopePairs : uint8_t {
  kHalves,     // pair (i, i + n/2): NeoX, Hugging Face
  kNeighbours  // pair (2i, 2i + 1): Llama files in GGUF
};
void Rope(RopePairs pairs, std::span<const float> cos, std::span<const float> sin, std::span<float> x);

// y_i = silu(gate_i) * up_i, silu(x) = x / (1 + exp(-x)); y may be gate or up.
void SiluTimes(std::span<const float> gate, std::span<const float> up, std::span<float> y);
// y_i = gelu(gate_i) * up_i with the tanh form of GELU, 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
void GeluTimes(std::span<const float> gate, std::span<const float> up, std::span<float> y);

// y += x;  y *= factor
void AddTo(std::span<const float> x, std::span<float> y);
void Scale(float factor, std::span<float> y);

// log(sum(exp(x_i))): exponentials in float32, summed in float64; about 1e-7 absolute. -infinity for no
// values.
double LogSumExp(std::span<const float> x);
// The lowest index of the largest value; a NaN is never the largest. 0 where there is no largest value.
int64_t ArgMax(std::span<const float> x);
// False if any value is NaN or infinite.
bool AllFinite(std::span<const float> x);

}  // namespace hone
