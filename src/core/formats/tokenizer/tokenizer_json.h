// The parts of a Hugging Face folder that make a tokenizer. Every field is run as the file says or refused by
// its name.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/formats/tokenizer/bpe_tokenizer.h"
#include "core/formats/tokenizer/word_spellings.h"

namespace hone {

using Json = nlohmann::json;

// A member of an object, or null where it is absent or `object` is none.
const Json& Member(const Json& object, std::string_view key);
std::string TextOr(const Json& value, std::string_view otherwise);
bool FlagOr(const Json& value, bool otherwise);

// `normalizer`, `pre_tokenizer`, `decoder` of tokenizer.json: fills the model's normalizer, splitter, space
// prefix.
Result<Spelling> ReadPipeline(const std::string& path, const Json& file, BpeModel& model);

// `model` and `added_tokens`: the words, their kinds, merges and special tokens.
Result<void> ReadWordsAndMerges(const std::string& path, const Json& file, Spelling spelling,
                                BpeModel& model);

}  // namespace hone
