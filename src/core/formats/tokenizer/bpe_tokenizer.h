// The one tokenizer behind every file: match special tokens, normalize, split, merge pairs. What differs
// between SentencePiece-style and byte-level vocabularies is data in BpeModel.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/formats/tokenizer/merge_table.h"
#include "core/formats/tokenizer/normalizer.h"
#include "core/formats/tokenizer/special_matcher.h"
#include "core/formats/tokenizer/splitter.h"
#include "core/formats/tokenizer/vocabulary.h"

namespace hone {

struct BpeModel {
  enum class Units {
    kBytes,       // a piece starts as bytes, each a token or dropped
    kCharacters,  // a piece starts as characters; one that is no token becomes its byte tokens (<0xE2>)
  };
  enum class Order {
    kMerges,  // by rank in the table of merges
    kScores,  // the adjacent pair whose joined text is the token of highest score
  };
  enum class SpacePrefix {
    kNever,
    kTextStart,     // a space before the text, unless a special token starts it
    kEachFragment,  // a space before the text and after every special token (llama.cpp, Llama's own
                    // tokenizer.json)
  };

  std::string source;  // file name for errors
  Vocabulary words;    // bytes as they appear in text: U+2581 is a space
  MergeTable merges;
  std::vector<float> scores;
  Units units = Units::kBytes;
  Order order = Order::kMerges;
  SpacePrefix space_prefix = SpacePrefix::kNever;
  bool prefix_only_if_absent =
      false;                       // no second space where the text starts with one (Metaspace, ByteLevel)
  bool ignore_merges = false;      // a piece that is a token is taken whole
  bool space_marks = false;        // U+2581 in a text is the same as a space
  bool line_breaks_whole = false;  // a piece of line ends alone that is a token is taken whole (Gemma 4)
  std::array<TokenId, 256> byte_tokens{};  // kNoToken where the vocabulary lacks the byte
  Normalizer normalizer;
  Splitter splitter;
  std::vector<SpecialToken> special_tokens;             // by id; the texts are looked up
  std::vector<SpecialToken> normalized_special_tokens;  // matched in the normalized text
  SpecialTokens special;
  std::vector<uint8_t> hidden;  // control tokens, by id
  std::vector<std::pair<std::string, std::string>> chat_templates;
  std::vector<std::string> warnings;
};

// Builds what is derived: the matchers, the order of the scores.
std::shared_ptr<const Tokenizer> MakeBpeTokenizer(BpeModel model);

}  // namespace hone
