// A learned vocabulary as the files that others read: a Hugging Face folder and GGUF metadata.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "training/text/bpe_training.h"

namespace hone {

class GgufHeader;

// The control tokens stand behind the learned ones: BOS, which begins every text, and EOS, which ends a
// document.
inline constexpr int64_t kControlTokenCount = 2;
inline constexpr const char* kBeginToken = "<|begin|>";
inline constexpr const char* kEndToken = "<|end|>";
// How texts are cut before merging: each digit alone, then GPT-2's expression.
inline constexpr const char* kTrainedPreTokenizer = "smollm";

// Writes tokenizer.json and tokenizer_config.json into `folder`, which must exist.
Result<void> WriteTokenizerFolder(const BpeVocabulary& vocabulary, const std::string& folder);

// Reads the vocabulary back from a folder that WriteTokenizerFolder wrote. Refused: a merge of unknown words.
Result<BpeVocabulary> ReadTrainedVocabulary(const std::string& folder);

// tokenizer.ggml.*: words, kinds, merges, control tokens, the name of the pre-tokenizer.
void SetTokenizerKeys(const BpeVocabulary& vocabulary, GgufHeader& header);

}  // namespace hone
