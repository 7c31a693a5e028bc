#include "evaluation/reproduce/experiment.h"

namespace hone {

// One line an experiment: {name, paper, summary, function}; the function lies in the file of its name and is
// declared in experiment.h.
std::span<const Experiment> Experiments() { return {}; }

}  // namespace hone
