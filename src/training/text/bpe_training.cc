#include "training/text/bpe_training.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "core/formats/tokenizer/byte_glyphs.h"
#include "core/formats/tokenizer/splitter.h"

namespace hone {
namespace {

constexpr int32_t kBytes = 256;
constexpr size_t kTextPart =
    1 << 20;  // a text is split in parts of about so many bytes, each ending at a line's end

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

struct Candidate {
  int64_t count;
  uint64_t pair;
  bool operator<(
      const Candidate& other) const {  // the queue's top is the most frequent, of these the smallest
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Learner {
 public:
  explicit Learner(const std::vector<std::pair<std::string, int64_t>>& pieces) {
    for (const auto& [bytes, count] : pieces) {
      Word word{.tokens = {}, .count = count};
      for (const char byte : bytes) word.tokens.push_back(static_cast<uint8_t>(byte));
      words_.push_back(std::move(word));
    }
    for (size_t i = 0; i < words_.size(); ++i) CountPairs(i, +1);
    for (const auto& [pair, use] : uses_) queue_.push({use.count, pair});
  }

  // The most frequent pair; {count 0} where none is left.
  Candidate Best() {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      const int64_t now = uses_[top.pair].count;
      if (now == top.count) return top;
      queue_.pop();
      if (now > 0) queue_.push({now, top.pair});
    }
    return {};
  }

  void Join(uint64_t pair, int32_t joined) {
    const auto left = static_cast<int32_t>(pair >> 32);
    const auto right = static_cast<int32_t>(pair & 0xffffffff);
    const std::vector<size_t> holders(uses_[pair].words.begin(), uses_[pair].words.end());
    changed_.clear();
    for (const size_t i : holders) {
      CountPairs(i, -1);
      std::vector<int32_t>& tokens = words_[i].tokens;
      size_t out = 0;
      for (size_t in = 0; in < tokens.size(); ++in) {
        const bool join = in + 1 < tokens.size() && tokens[in] == left && tokens[in + 1] == right;
        tokens[out++] = join ? joined : tokens[in];
        if (join) ++in;
      }
      tokens.resize(out);
      CountPairs(i, +1);
    }
    uses_.erase(pair);
    for (const uint64_t key : changed_) {
      if (const auto use = uses_.find(key); use != uses_.end() && use->second.count > 0)
        queue_.push({use->second.count, key});
    }
  }

 private:
  struct Word {
    std::vector<int32_t> tokens;
    int64_t count;
  };
  struct Use {
    int64_t count = 0;
    std::unordered_set<size_t> words;  // that hold or held the pair
  };

  void CountPairs(size_t i, int64_t sign) {
    const Word& word = words_[i];
    for (size_t at = 0; at + 1 < word.tokens.size(); ++at) {
      const uint64_t key = PairKey(word.tokens[at], word.tokens[at + 1]);
      Use& use = uses_[key];
      use.count += sign * word.count;
      if (sign > 0) {
        use.words.insert(i);
        changed_.insert(key);
      }
    }
  }

  std::vector<Word> words_;
  std::unordered_map<uint64_t, Use> uses_;
  std::unordered_set<uint64_t> changed_;  // pairs that the last Join made more frequent
  std::priority_queue<Candidate> queue_;  // counts may be too high; Best corrects them
};

}  // namespace

struct PieceCounts::Parts {
  Splitter splitter;
  Splitter::Scratch scratch;
  std::unordered_map<std::string, int64_t> counts;
};

PieceCounts::PieceCounts(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PieceCounts::PieceCounts(PieceCounts&&) noexcept = default;
PieceCounts& PieceCounts::operator=(PieceCounts&&) noexcept = default;
PieceCounts::~PieceCounts() = default;

Result<PieceCounts> PieceCounts::Make(const PreTokenizer& pre) {
  auto parts = std::make_unique<Parts>();
  HONE_TRY(parts->splitter, Splitter::Make(StepsOf(pre)));
  return PieceCounts(std::move(parts));
}

void PieceCounts::Add(std::string_view text) {
  std::vector<Splitter::Piece> pieces;
  while (!text.empty()) {
    size_t end = text.size() <= kTextPart ? text.size() : text.find('\n', kTextPart);
    end = end >= text.size() ? text.size() : end + 1;
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end);
    int64_t unsplit = 0;
    pieces.clear();
    parts_->splitter.Split(part, parts_->scratch, pieces, unsplit);
    for (const Splitter::Piece& piece : pieces) {
      ++parts_->counts[std::string(part.substr(piece.begin, piece.end - piece.begin))];
    }
  }
}

std::vector<std::pair<std::string, int64_t>> PieceCounts::Sorted() const {
  std::vector<std::pair<std::string, int64_t>> sorted(parts_->counts.begin(), parts_->counts.end());
  std::ranges::sort(sorted);
  return sorted;
}

BpeVocabulary LearnBpe(const std::vector<std::pair<std::string, int64_t>>& pieces, int64_t size,
                       const std::function<void(int64_t)>& progress) {
  BpeVocabulary vocabulary;
  for (int32_t byte = 0; byte < kBytes; ++byte) vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  Learner learner(pieces);
  while (static_cast<int64_t>(vocabulary.tokens.size()) < size) {
    const Candidate best = learner.Best();
    if (best.count < 2) break;
    const auto left = static_cast<int32_t>(best.pair >> 32);
    const auto right = static_cast<int32_t>(best.pair & 0xffffffff);
    learner.Join(best.pair, static_cast<int32_t>(vocabulary.tokens.size()));
    vocabulary.merges.emplace_back(left, right);
    vocabulary.tokens.push_back(vocabulary.tokens[static_cast<size_t>(left)] +
                                vocabulary.tokens[static_cast<size_t>(right)]);
    if (progress) progress(static_cast<int64_t>(vocabulary.tokens.size()));
  }
  return vocabulary;
}

std::string GlyphSpelling(std::string_view bytes) {
  std::string spelling;
  for (const char byte : bytes) {
    const char32_t glyph = GlyphOfByte(static_cast<uint8_t>(byte));
    if (glyph < 0x80) {
      spelling.push_back(static_cast<char>(glyph));
    } else {  // all glyphs lie below U+0800
      spelling.push_back(static_cast<char>(0xC0 | glyph >> 6));
      spelling.push_back(static_cast<char>(0x80 | (glyph & 0x3F)));
    }
  }
  return spelling;
}

}  // namespace hone
