// Attention in float64, entry by entry: what the kernels are measured against.
#pragma once

#include <span>

#include "core/kernels/attention.h"
#include "core/tensor/view.h"

namespace hone::reference {

// As hone::Attention. Reads nothing of an entry that a row does not see.
void Attention(const AttentionShape& shape, std::span<const AttentionItem> items, MatrixView<const float> query,
               MatrixView<double> output);

}  // namespace hone::reference
