#include "training/text/token_mixture.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/base/random.h"

namespace hone {
namespace {

// What a draw is for; see core/base/random.h.
constexpr uint32_t kFeistelUse = 0x5EED0001;
constexpr uint32_t kShiftUse = 0x5EED0002;

uint64_t EpochKey(uint64_t seed, size_t source, uint64_t epoch) {
  const auto words = RandomWords(seed, epoch, kFeistelUse, static_cast<uint32_t>(source));
  return static_cast<uint64_t>(words[0]) << 32 | words[1];
}

}  // namespace

uint64_t ShuffledIndex(uint64_t i, uint64_t count, uint64_t key) {
  if (count < 2) return 0;
  const int half = std::max(1, (static_cast<int>(std::bit_width(count - 1)) + 1) / 2);
  const uint64_t mask = (uint64_t{1} << half) - 1;
  constexpr uint32_t kRounds = 4;
  do {
    uint64_t left = i >> half;
    uint64_t right = i & mask;
    for (uint32_t round = 0; round < kRounds; ++round) {
      const uint64_t mixed = left ^ (RandomWord(key, right, kFeistelUse + 16 + round) & mask);
      left = right;
      right = mixed;
    }
    i = left << half | right;
  } while (i >= count);
  return i;
}

Result<TokenMixture> TokenMixture::Make(std::span<const TokenSource> sources, int64_t length, uint64_t seed) {
  TokenMixture mixture;
  mixture.sources_ = sources;
  mixture.length_ = length;
  mixture.seed_ = seed;
  mixture.taken_.assign(sources.size(), 0);
  double sum = 0.0;
  for (const TokenSource& source : sources) {
    if (!(source.share > 0.0) || !std::isfinite(source.share))
      return BadInput(source.name, "share", "{}, expected a number above 0", source.share);
    if (!source.generate && static_cast<int64_t>(source.tokens.size()) < 2 * (length + 1)) {
      return BadInput(source.name, "tokens", "found {}, expected at least {} for windows of {}",
                      source.tokens.size(), 2 * (length + 1), length);
    }
    sum += source.share;
  }
  if (sources.empty()) return WrongUsage("no text given to train on");
  for (const TokenSource& source : sources) mixture.shares_.push_back(source.share / sum);
  return mixture;
}

int64_t TokenMixture::WindowsOf(size_t source) const {
  // One window is left over, so that an epoch can be shifted by up to a window.
  return static_cast<int64_t>(sources_[source].tokens.size() - 1) / length_ - 1;
}

// The source that lies farthest behind its share (the quota method of apportionment).
size_t TokenMixture::Turn() {
  ++all_taken_;
  size_t best = 0;
  double most_behind = -1e300;
  for (size_t s = 0; s < shares_.size(); ++s) {
    const double behind = shares_[s] * static_cast<double>(all_taken_) - static_cast<double>(taken_[s]);
    if (behind > most_behind) {
      most_behind = behind;
      best = s;
    }
  }
  ++taken_[best];
  return best;
}

void TokenMixture::Skip(int64_t windows) {
  for (int64_t i = 0; i < windows; ++i) Turn();
}

void TokenMixture::Next(std::span<TrainingToken> window) {
  const size_t s = Turn();
  const uint64_t k = taken_[s] - 1;
  if (sources_[s].generate) {
    sources_[s].generate(k, window);
    return;
  }
  const auto windows = static_cast<uint64_t>(WindowsOf(s));
  const uint64_t epoch = k / windows;
  const uint64_t key = EpochKey(seed_, s, epoch);
  const uint64_t shift = RandomWord(key, epoch, kShiftUse) % static_cast<uint64_t>(length_);
  const uint64_t begin = ShuffledIndex(k % windows, windows, key) * static_cast<uint64_t>(length_) + shift;
  std::copy_n(sources_[s].tokens.begin() + static_cast<int64_t>(begin), length_ + 1, window.begin());
}

std::vector<double> TokenMixture::Epochs() const {
  std::vector<double> epochs;
  for (size_t s = 0; s < taken_.size(); ++s) {
    epochs.push_back(
        sources_[s].generate ? 0.0 : static_cast<double>(taken_[s]) / static_cast<double>(WindowsOf(s)));
  }
  return epochs;
}

}  // namespace hone
