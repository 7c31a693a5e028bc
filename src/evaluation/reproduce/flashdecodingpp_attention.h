// The attention half of `hone reproduce flashdecodingpp`: the softmax with a fixed phi.
#pragma once

#include "evaluation/reproduce/experiment.h"

namespace hone {

// Correctness against the running maximum, coverage of phi on text that it was not chosen from, injected
// overflows, and what it gains on this processor.
Result<void> ReproduceFixedSoftmax(ExperimentContext& context, Report& report);

}  // namespace hone
