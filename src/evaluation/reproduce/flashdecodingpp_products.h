// The other half of `hone reproduce flashdecodingpp`: flat products and the choice of a kernel by shape and
// rows.
#pragma once

#include "evaluation/reproduce/experiment.h"

namespace hone {

// The flat kernel against one matvec a row; whether the table's choice is the fastest of each cell; and
// decoding with the table against each kernel alone.
Result<void> ReproduceProducts(ExperimentContext& context, Report& report);

}  // namespace hone
