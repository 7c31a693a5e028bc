// The vocabulary of a GGUF file as the files of a Hugging Face folder.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/formats/gguf/gguf_file.h"

namespace hone {

// Writes tokenizer.json, tokenizer_config.json and generation_config.json to `folder`, reads them back and
// checks that they give the file's ids for a probe text. Refused: a pre-tokenizer that no expression says.
Result<void> WriteTokenizerFiles(const GgufFile& file, const std::string& folder);

// The text that vocabularies are compared on: words of several scripts, numbers, contractions, white space of
// all kinds, code, punctuation, emoji.
std::string_view TokenizerProbe();

}  // namespace hone
