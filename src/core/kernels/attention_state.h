// The state of attention over some entries E, and the one way in which two states become one.
//
// For a (row, head) pair with scores s_e: m = max s_e, or a number phi fixed beforehand,
//   denominator = sum exp(s_e - m),  numerator[head_dim] = sum exp(s_e - m) v_e,
// and attention over E is numerator / denominator. States over disjoint sets merge into the state over their
// union (FlashAttention, arXiv 2205.14135, section 3.1; with a fixed phi the factors are 1 and merging is
// plain addition: FlashDecoding++, arXiv 2311.01282, section 3). Splits of the KV cache, windows beside
// sinks, ranks of a ring and branches of a tree all use it.
#pragma once

namespace hone {

// Of `pairs` pairs. A pair that saw nothing has denominator 0 and numerator 0; its max is -infinity or phi.
struct AttentionStates {
  int pairs = 0;
  int head_dim = 0;                    // a multiple of 8
  float* max = nullptr;                // [pairs]
  float* denominator = nullptr;        // [pairs]
  float* const* numerators = nullptr;  // [pairs], each [head_dim]
};

// total = total merged with part, pair by pair; both may be empty. Float sums depend on the order of merging:
// whoever wants the same bits merges in one order.
void MergeStates(const AttentionStates& part, const AttentionStates& total);
// numerator /= denominator, in place; zeros for a pair that saw nothing.
void FinishStates(const AttentionStates& states);

}  // namespace hone
