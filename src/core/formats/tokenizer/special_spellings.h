// What is known about tokens by their spelling alone, for files whose metadata does not say it.
#pragma once

#include <string_view>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"
#include "core/formats/tokenizer/vocabulary.h"

namespace hone {

// Tokens that end a turn or an answer: "<|im_end|>", "<|eot_id|>", ...
bool SpellsEnd(std::string_view text);
// As above, and so distinct that no text means it literally: a file that calls it a user-defined word is
// mistaken.
bool SpellsEndUnmistakably(std::string_view text);
// Spellings of turn markers, "<|...|>" and the like: they may not come from a user's message even where the
// file calls them ordinary added words.
bool SpellsMarker(std::string_view text);

// Fills special.eot (where the file names none) and special.ends: eos, eot, `eom`, and the control tokens of
// `words` that spell an end. Harmony-style vocabularies ("<|return|>" and "<|call|>") end a message, not an
// answer, with "<|end|>".
void CollectEnds(const Vocabulary& words, const std::vector<TokenId>& more, SpecialTokens& special);

}  // namespace hone
