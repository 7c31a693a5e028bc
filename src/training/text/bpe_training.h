// Learns a byte-pair vocabulary from text (Sennrich, Haddow, Birch 2016, arXiv 1508.07909, algorithm 1, over
// bytes as in GPT-2): starts from the 256 bytes and joins the most frequent adjacent pair until the
// vocabulary is full.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/formats/tokenizer/pretokenizers.h"

namespace hone {

// Token i < 256 is the byte i; token 256 + m is the m-th merge.
struct BpeVocabulary {
  std::vector<std::pair<int32_t, int32_t>> merges;  // of token ids
  std::vector<std::string> tokens;                  // bytes
};

// Counts the pieces into which `pre` cuts texts. A merge never crosses a piece.
class PieceCounts {
 public:
  static Result<PieceCounts> Make(const PreTokenizer& pre);
  PieceCounts(PieceCounts&&) noexcept;
  PieceCounts& operator=(PieceCounts&&) noexcept;
  ~PieceCounts();

  void Add(std::string_view text);
  // Each distinct piece with its count, in the order of the bytes.
  std::vector<std::pair<std::string, int64_t>> Sorted() const;

 private:
  struct Parts;
  explicit PieceCounts(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Learns merges until there are `size` tokens (at least 256) or no pair occurs twice. Of equally frequent
// pairs the one with the smaller ids wins (left, then right), so that the same pieces give the same
// vocabulary. Joins that lie in a row overlap as the tokenizer applies them: from the left. `progress` is
// told the tokens so far.
BpeVocabulary LearnBpe(const std::vector<std::pair<std::string, int64_t>>& pieces, int64_t size,
                       const std::function<void(int64_t tokens)>& progress = {});

// The spelling of GPT-2's byte glyphs, in which vocabularies and merges are stored.
std::string GlyphSpelling(std::string_view bytes);

}  // namespace hone
