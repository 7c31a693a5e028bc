#include "evaluation/reproduce/experiment.h"

namespace hone {
namespace {

// One line an experiment; the function lies in the file of its name.
constexpr Experiment kExperiments[] = {
    {"flashdecodingpp", "FlashDecoding++ (arXiv 2311.01282)",
     "What a softmax with a fixed maximum gains, and what its guard catches", ReproduceFlashDecodingPlusPlus},
    {"mixed-2bit", "2/4/16-bit in a Weight Matrix with Asynchronous Dequantization (arXiv 2311.16442)",
     "What 2-bit weights with 4-bit bands and float16 outliers lose and gain", ReproduceMixed2Bit},
    {"qllm-eval", "Evaluating Quantized Large Language Models (arXiv 2402.18158)",
     "What few bits of weights, activations, keys and values cost, by kind of task", ReproduceQllmEval},
    {"semi-pd", "semi-PD (arXiv 2504.19867)",
     "What one pool, one set of weights and moving shares give two phases of a server", ReproduceSemiPd},
    {"survey-breakdown", "A Survey on Efficient Inference for Large Language Models (arXiv 2404.14294)",
     "Where the time goes: attention, linear and other operators by context", ReproduceSurveyBreakdown},
    {"survey-quantization", "A Survey on Efficient Inference for Large Language Models (arXiv 2404.14294)",
     "What 4-bit weights gain over F16 by batch and input length", ReproduceSurveyQuantization},
    {"survey-serving", "A Survey on Efficient Inference for Large Language Models (arXiv 2404.14294)",
     "What paging, continuous batching, split prompts and the order of service give", ReproduceSurveyServing},
};

}  // namespace

std::span<const Experiment> Experiments() { return kExperiments; }

}  // namespace hone
