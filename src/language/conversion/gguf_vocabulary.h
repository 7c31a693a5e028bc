// The vocabulary of a Hugging Face folder as the metadata of a GGUF file.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/formats/gguf/gguf_writer.h"

namespace hone {

// Sets tokenizer.ggml.* and tokenizer.chat_template from tokenizer.json and its neighbours in `folder`. Ids
// up to `rows`, the rows of the embedding, that no word has become unused tokens. Byte-level vocabularies
// become "gpt2" with merges and the name of the pre-tokenizer that splits as the folder's; vocabularies with
// marked spaces become "llama" with scores that order their merges. The result is read back and must give the
// folder's ids for a probe text; `scratch` names a file that may be written for that. Refused: a
// pre-tokenizer that GGUF files have no name for, a normalizer.
Result<void> SetVocabulary(const std::string& folder, int64_t rows, const std::string& scratch,
                           GgufHeader& header);

}  // namespace hone
