// What happens to a row between two matrix products. Every function treats each row on its own, in one fixed order, with
// the same result on every call; all are float32 in and out.
#pragma once

#include <cstdint>
#include <span>

namespace hone {

// y_i = x_i / sqrt(mean(x^2) + epsilon) * (w_i + offset); offset is 1 where a model stores w - 1 (none of the GGUF files
// do). x and y may be the same. `w` may be empty: all ones.
void RmsNorm(std::span<const float> x, std::span<const float> w, float epsilon, std::span<float> y);

// Rotates pairs of x [head_dim] by the angles of one position: (a, b) -> (a cos - b sin, a sin + b cos).
// The first 2 * cos.size() elements are rotated, the rest stay.
enum class RopePairs : uint8_t {
  kHalves,     // pair (i, i + n/2): NeoX, Hugging Face
  kNeighbours  // pair (2i, 2i + 1): Llama files in GGUF
};
void Rope(RopePairs pairs, std::span<const float> cos, std::span<const float> sin, std::span<float> x);

// y_i = silu(gate_i) * up_i, silu(x) = x / (1 + exp(-x))
void SiluTimes(std::span<const float> gate, std::span<const float> up, std::span<float> y);
// y_i = gelu(gate_i) * up_i with the tanh form of GELU.
void GeluTimes(std::span<const float> gate, std::span<const float> up, std::span<float> y);

// y += x;  y *= factor
void AddTo(std::span<const float> x, std::span<float> y);
void Scale(float factor, std::span<float> y);

// log(sum(exp(x_i))) in double, and the lowest index of the largest value.
double LogSumExp(std::span<const float> x);
int64_t ArgMax(std::span<const float> x);
// False if any value is NaN or infinite.
bool AllFinite(std::span<const float> x);

}  // namespace hone
