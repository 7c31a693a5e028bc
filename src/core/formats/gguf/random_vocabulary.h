// A byte-level vocabulary of any size, made up: complete, with merges, control tokens and a chat template.
#pragma once

#include <cstdint>

#include "core/formats/gguf/gguf_writer.h"

namespace hone {

// The smallest one: 256 bytes and four control tokens.
inline constexpr int64_t kLeastVocabulary = 260;

// Sets the tokenizer's keys. The ids of the 256 bytes come first, in the order of the bytes' values; then
// merges of pairs of letters, of letters behind a space, and of threes; the last four are <|begin|> (put
// before every raw prompt), <|end|> (ends an answer), <|im_start|> and <|im_end|> (ends a turn).
void SetRandomVocabulary(int64_t size, GgufHeader& header);

}  // namespace hone
