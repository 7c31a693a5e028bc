#include "core/formats/tokenizer/bpe_tokenizer.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <bitset>
#include <cstring>

#include "core/formats/tokenizer/pair_merging.h"
#include "core/formats/tokenizer/text_stream.h"
#include "core/formats/tokenizer/utf8.h"

namespace hone {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581
constexpr size_t kLongestFragment = size_t{1} << 30;     // symbols are counted in 32 bits

// Where a word of this text was met before: its tokens can be copied. Direct-mapped, forgotten with the
// fragment.
struct RememberedWord {
  const char* text = nullptr;
  uint32_t length = 0;
  uint32_t count = 0;
  size_t first = 0;  // of its tokens, in the output
};
constexpr size_t kRemembered = 4096;
constexpr size_t kLongestRemembered = 64;  // bytes of a word
constexpr size_t kWorthRemembering = 512;  // bytes of a fragment

struct Workspace {
  Splitter::Scratch splitting;
  std::vector<Splitter::Piece> pieces;
  PairMerger merger;
  std::vector<SpecialMatch> matches;
  std::vector<RememberedWord> remembered;
  std::string marked;
};

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(BpeModel model);

  int64_t vocabulary_size() const override { return m_.words.size(); }
  const SpecialTokens& special() const override { return m_.special; }
  Encoding Encode(std::string_view text, std::span<const ByteSpan> literal) const override;
  std::string_view TokenBytes(TokenId id) const override {
    return Has(id) ? m_.words.Bytes(id) : std::string_view{};
  }
  bool IsControl(TokenId id) const override { return Has(id) && m_.hidden[id] != 0; }
  std::string Decode(std::span<const TokenId> tokens, bool with_control) const override;
  bool adds_space_prefix() const override { return m_.space_prefix != BpeModel::SpacePrefix::kNever; }
  std::string_view chat_template(std::string_view name) const override;
  std::span<const std::string> warnings() const override { return m_.warnings; }

 private:
  bool Has(TokenId id) const { return id >= 0 && id < m_.words.size(); }
  void EncodeFragment(std::string_view text, bool starts_text, Workspace& work, Encoding& out) const;
  void EncodePlain(std::string_view text, bool with_prefix, Workspace& work, Encoding& out) const;
  void CutAtSpaces(std::string_view text, std::vector<Splitter::Piece>& pieces) const;
  void EncodePiece(std::string_view piece, Workspace& work, Encoding& out) const;
  void MergePiece(std::string_view piece, PairMerger& merger, Encoding& out) const;
  void StartSymbols(std::string_view piece, std::vector<Symbol>& symbols) const;

  BpeModel m_;
  SpecialMatcher special_;
  SpecialMatcher normalized_special_;
  std::vector<uint32_t> score_ranks_;    // by id: 0 for the highest score
  std::bitset<256> before_inner_space_;  // bytes that stand before a space inside some token
};

// Floats as integers of the opposite order; NaN comes last.
uint32_t RankOfScore(float score) {
  if (score != score) return kNoRank - 1;
  if (score == 0) score = 0;  // -0 is 0
  const uint32_t bits = std::bit_cast<uint32_t>(score);
  const uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return std::min(~ascending, kNoRank - 1);
}

void GiveTexts(std::vector<SpecialToken>& tokens, const Vocabulary& words) {
  for (SpecialToken& token : tokens) token.text = words.Bytes(token.id);
}

BpeTokenizer::BpeTokenizer(BpeModel model) : m_(std::move(model)) {
  GiveTexts(m_.special_tokens, m_.words);
  GiveTexts(m_.normalized_special_tokens, m_.words);
  special_.Build(std::move(m_.special_tokens));
  normalized_special_.Build(std::move(m_.normalized_special_tokens));
  score_ranks_.reserve(m_.scores.size());
  for (const float score : m_.scores) score_ranks_.push_back(RankOfScore(score));
  std::vector<float>().swap(m_.scores);
  if (m_.units == BpeModel::Units::kBytes) return;
  for (TokenId id = 0; id < m_.words.size(); ++id) {
    if (!m_.words.findable(id)) continue;
    const std::string_view word = m_.words.Bytes(id);
    for (size_t at = word.find(' ', 1); at != std::string_view::npos; at = word.find(' ', at + 1)) {
      before_inner_space_.set(static_cast<uint8_t>(word[at - 1]));
    }
  }
}

Encoding BpeTokenizer::Encode(std::string_view text, std::span<const ByteSpan> literal) const {
  Encoding out;
  Workspace work;
  if (text.size() >= kWorthRemembering) out.tokens.reserve(text.size() / 3);
  std::vector<SpecialMatch> matches;
  special_.Find(text, literal, matches);
  size_t done = 0;
  for (const SpecialMatch& match : matches) {
    EncodeFragment(text.substr(done, match.begin - done), done == 0, work, out);
    out.tokens.push_back(match.id);
    done = match.end;
  }
  EncodeFragment(text.substr(done), done == 0, work, out);
  return out;
}

void BpeTokenizer::EncodeFragment(std::string_view text, bool starts_text, Workspace& work,
                                  Encoding& out) const {
  if (text.empty()) return;
  std::string normalized;
  if (!m_.normalizer.empty()) {
    normalized = m_.normalizer.Apply(text);
    text = normalized;
  }
  using SpacePrefix = BpeModel::SpacePrefix;
  const bool each = m_.space_prefix == SpacePrefix::kEachFragment;
  bool prefix = each || (m_.space_prefix == SpacePrefix::kTextStart && starts_text);
  normalized_special_.Find(text, {}, work.matches);
  size_t done = 0;
  for (const SpecialMatch& match : work.matches) {
    EncodePlain(text.substr(done, match.begin - done), prefix, work, out);
    out.tokens.push_back(match.id);
    done = match.end;
    prefix = each;
  }
  EncodePlain(text.substr(done), prefix, work, out);
}

void BpeTokenizer::EncodePlain(std::string_view text, bool with_prefix, Workspace& work,
                               Encoding& out) const {
  if (text.empty()) return;
  if (text.size() > kLongestFragment) {
    EncodePlain(text.substr(0, kLongestFragment), with_prefix, work, out);
    return EncodePlain(text.substr(kLongestFragment), false, work, out);
  }
  const bool marked = m_.space_marks && text.find(kSpaceMark) != std::string_view::npos;
  if (with_prefix && m_.prefix_only_if_absent) {
    with_prefix = text.front() != ' ' && !(m_.space_marks && text.starts_with(kSpaceMark));
  }
  if (with_prefix || marked) {
    work.marked.clear();
    if (with_prefix) work.marked += ' ';
    for (size_t at = 0; at < text.size();) {
      const size_t found = marked ? text.find(kSpaceMark, at) : std::string_view::npos;
      work.marked += text.substr(at, found - at);
      if (found == std::string_view::npos) break;
      work.marked += ' ';
      at = found + kSpaceMark.size();
    }
    text = work.marked;
  }
  if (m_.splitter.empty() && m_.units == BpeModel::Units::kCharacters) {
    CutAtSpaces(text, work.pieces);
  } else {
    m_.splitter.Split(text, work.splitting, work.pieces, out.unsplit_bytes);
  }
  if (text.size() >= kWorthRemembering) {
    work.remembered.assign(kRemembered, RememberedWord{});
  } else {
    work.remembered.clear();
  }
  for (const Splitter::Piece& piece : work.pieces) {
    EncodePiece(text.substr(piece.begin, piece.end - piece.begin), work, out);
  }
}

void BpeTokenizer::CutAtSpaces(std::string_view text, std::vector<Splitter::Piece>& pieces) const {
  pieces.clear();
  size_t begin = 0;
  for (size_t at = text.find(' ', 1); at != std::string_view::npos; at = text.find(' ', at + 1)) {
    if (before_inner_space_.test(static_cast<uint8_t>(text[at - 1])) || text[at - 1] == ' ') continue;
    pieces.push_back({begin, at});
    begin = at;
  }
  pieces.push_back({begin, text.size()});
}

void BpeTokenizer::EncodePiece(std::string_view piece, Workspace& work, Encoding& out) const {
  const bool remember = !work.remembered.empty() && piece.size() <= kLongestRemembered;
  RememberedWord* word = nullptr;
  if (remember) {
    word = &work.remembered[XXH3_64bits(piece.data(), piece.size()) % kRemembered];
    if (word->length == piece.size() && std::memcmp(word->text, piece.data(), piece.size()) == 0) {
      const size_t size = out.tokens.size();
      out.tokens.resize(size + word->count);
      std::copy_n(out.tokens.begin() + word->first, word->count, out.tokens.begin() + size);
      return;
    }
  }
  const size_t first = out.tokens.size();
  const int64_t dropped = out.dropped_bytes;
  MergePiece(piece, work.merger, out);
  if (word != nullptr && out.dropped_bytes == dropped) {
    *word = {piece.data(), static_cast<uint32_t>(piece.size()),
             static_cast<uint32_t>(out.tokens.size() - first), first};
  }
}

void BpeTokenizer::MergePiece(std::string_view piece, PairMerger& merger, Encoding& out) const {
  if (m_.ignore_merges || (m_.line_breaks_whole && piece.find_first_not_of('\n') == std::string_view::npos)) {
    if (const TokenId id = m_.words.Find(piece); id != kNoToken) return out.tokens.push_back(id);
  }
  StartSymbols(piece, merger.symbols);
  size_t count = 0;
  if (m_.order == BpeModel::Order::kMerges) {
    count = merger.Merge([&](Symbol& left, const Symbol& right) {
      const bool known = left.id != kNoToken && right.id != kNoToken;
      const MergeTable::Merge* merge = known ? m_.merges.Find(left.id, right.id) : nullptr;
      left.rank = merge != nullptr ? merge->rank : kNoRank;
      left.merged = merge != nullptr ? merge->merged : kNoToken;
    });
  } else {
    count = merger.Merge([&](Symbol& left, const Symbol& right) {
      left.merged = m_.words.Find(piece.substr(left.begin, left.length + right.length));
      left.rank = left.merged != kNoToken ? score_ranks_[left.merged] : kNoRank;
    });
  }
  for (size_t i = 0; i < count; ++i) {
    const Symbol& symbol = merger.symbols[i];
    if (symbol.id != kNoToken) {
      out.tokens.push_back(symbol.id);
      continue;
    }
    for (const char byte : piece.substr(symbol.begin, symbol.length)) {
      const TokenId id = m_.byte_tokens[static_cast<uint8_t>(byte)];
      if (id != kNoToken) {
        out.tokens.push_back(id);
      } else {
        ++out.dropped_bytes;
      }
    }
  }
}

void BpeTokenizer::StartSymbols(std::string_view piece, std::vector<Symbol>& symbols) const {
  symbols.clear();
  if (m_.units == BpeModel::Units::kBytes) {
    for (uint32_t at = 0; at < piece.size(); ++at) {
      symbols.push_back({.begin = at, .length = 1, .id = m_.byte_tokens[static_cast<uint8_t>(piece[at])]});
    }
    return;
  }
  for (uint32_t at = 0; at < piece.size();) {
    const Utf8Unit unit = NextUtf8(piece.substr(at));
    const bool whole = unit.kind == Utf8Unit::Kind::kCharacter;
    const uint32_t length = whole ? unit.length : 1;
    const TokenId id = whole ? m_.words.Find(piece.substr(at, length)) : kNoToken;
    symbols.push_back({.begin = at, .length = length, .id = id});
    at += length;
  }
}

std::string BpeTokenizer::Decode(std::span<const TokenId> tokens, bool with_control) const {
  Decoder decoder(*this, with_control);
  std::string text;
  for (const TokenId token : tokens) text += decoder.Push(token);
  text += decoder.Finish();
  return text;
}

std::string_view BpeTokenizer::chat_template(std::string_view name) const {
  const auto found = std::ranges::find(m_.chat_templates, name, &std::pair<std::string, std::string>::first);
  return found == m_.chat_templates.end() ? std::string_view{} : std::string_view(found->second);
}

}  // namespace

std::shared_ptr<const Tokenizer> MakeBpeTokenizer(BpeModel model) {
  return std::make_shared<const BpeTokenizer>(std::move(model));
}

}  // namespace hone
