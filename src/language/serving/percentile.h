// Order statistics of a few measured numbers.
#pragma once

#include <span>

namespace hone {

// The smallest value that at least the fraction `p` of the values do not exceed; 0 of none.
double Percentile(std::span<const double> values, double p);
double Mean(std::span<const double> values);  // 0 of none

}  // namespace hone
