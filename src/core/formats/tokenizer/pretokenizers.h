// The pre-tokenizers that GGUF files name in tokenizer.ggml.pre.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/formats/tokenizer/splitter.h"

namespace hone {

struct PreTokenizer {
  std::string_view name;       // as files carry it
  std::string_view pattern;    // which of the patterns below splits for it
  bool ignore_merges = false;  // a piece that is a token is taken whole
  bool add_bos = false;        // where the file does not say
  bool space_marks =
      false;  // words are spelled with U+2581 for the space and raw UTF-8, not with byte glyphs
};

// nullptr where no file is known to carry the name.
const PreTokenizer* FindPreTokenizer(std::string_view name);
std::span<const PreTokenizer> AllPreTokenizers();

std::vector<SplitStep> StepsOf(const PreTokenizer& pre);

// The name that a byte-level vocabulary of these words goes by: recognised by tokens that only its family
// has, for files that do not say. Empty where it is none of the known ones. `find` gives a token's id by its
// spelling, or kNoToken.
template <class Find>
std::string_view RecognisePreTokenizer(const Find& find, int64_t size) {
  struct Sign {
    std::string_view name, first, second;
    int64_t least, most;  // vocabulary size
  };
  // From the special: the first that fits wins.
  static constexpr Sign kSigns[] = {
      {"llama-bpe", "<|begin_of_text|>", "<|eot_id|>", 100000, 140000},
      {"llama-bpe", "<|begin_of_text|>", "<|end_of_text|>", 100000, 140000},
      {"llama4", "<|begin_of_text|>", "<|eot|>", 190000, 210000},
      {"smollm", "<|im_start|>", "<gh_stars>", 49000, 50000},
      {"qwen2", "<|im_start|>", "<|endoftext|>", 151000, 153000},
      {"command-r", "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", 250000, 262000},
      {"deepseek-v3", "<｜begin▁of▁sentence｜>", "<｜User｜>", 127000, 130000},
      {"deepseek-llm", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", 100000, 103000},
      {"deepseek-coder", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", 32000, 33000},
      {"refact", "<fim_prefix>", "<empty_output>", 49200, 49300},
      {"starcoder", "<fim_prefix>", "<gh_stars>", 49100, 49200},
      {"falcon", ">>ABSTRACT<<", ">>TITLE<<", 65000, 65100},
      {"gpt-4o", "<|endoftext|>", "<|endofprompt|>", 199000, 202000},
      {"dbrx", "<|endoftext|>", "<|endofprompt|>", 100000, 101000},
      {"olmo", "<|endoftext|>", "<|padding|>", 50200, 50500},
      {"gpt-2", "<|endoftext|>", "Ġgazed", 50200, 51300},
  };
  for (const Sign& sign : kSigns) {
    if (size < sign.least || size > sign.most) continue;
    if (find(sign.first) >= 0 && find(sign.second) >= 0) return sign.name;
  }
  return {};
}

}  // namespace hone
