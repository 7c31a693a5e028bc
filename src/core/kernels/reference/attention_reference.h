// Attention in float64, entry by entry: what the kernels are measured against.
#pragma once

#include <span>
#include <vector>

#include "core/kernels/attention.h"
#include "core/tensor/view.h"

namespace hone::reference {

// As hone::Attention. Reads nothing of an entry that a row does not see.
void Attention(const AttentionShape& shape, std::span<const AttentionItem> items,
               MatrixView<const float> query, MatrixView<double> output);

// The scaled scores, bias added, of one row of `item` and one query head over the entries that it sees,
// rising.
std::vector<double> Scores(const AttentionShape& shape, const AttentionItem& item,
                           MatrixView<const float> query, int64_t row, int head);

}  // namespace hone::reference
