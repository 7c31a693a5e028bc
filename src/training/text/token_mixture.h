// The windows of text that training sees, in an order that is a function of the seed alone: window n of a run
// is the same whenever it is asked for, so that a resumed run goes on with the very windows of an unbroken
// one.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace hone {

using TrainingToken = uint16_t;  // vocabularies of training have at most 65536 words

struct TokenSource {
  std::string name;
  double share = 1.0;  // of the windows, relative to the other sources
  std::vector<TrainingToken> tokens;
  // Given, it makes the tokens of the k-th window (its length is the span's) instead.
  std::function<void(uint64_t k, std::span<TrainingToken> window)> generate = {};
};

// Windows of one length out of several sources. Sources take turns so that after any number of windows each
// has had its share within one window. Within a source, windows come in a random order without repetition;
// when all have been seen the next epoch begins, in a new order and shifted by less than a window.
class TokenMixture {
 public:
  // `sources` outlive the mixture. Refused by name: a source with fewer than 2 * (length + 1) tokens, a share
  // that is not above zero.
  static Result<TokenMixture> Make(std::span<const TokenSource> sources, int64_t length, uint64_t seed);

  // Fills length + 1 tokens: what is read, and, one to the right, what is to be predicted.
  void Next(std::span<TrainingToken> window);
  // Goes on as if `windows` more had been taken.
  void Skip(int64_t windows);
  // Windows taken from each source so far, divided by those of one epoch; 0 for generated ones.
  std::vector<double> Epochs() const;

 private:
  size_t Turn();
  int64_t WindowsOf(size_t source) const;

  std::span<const TokenSource> sources_;
  int64_t length_ = 0;
  uint64_t seed_ = 0;
  std::vector<double> shares_;  // sum 1
  std::vector<uint64_t> taken_;
  uint64_t all_taken_ = 0;
};

// The place of `i` in a random order of 0 .. count - 1 that `key` chooses: a Feistel network over the next
// power of four, applied until the value falls into the range (cycle walking; Black and Rogaway 2002).
uint64_t ShuffledIndex(uint64_t i, uint64_t count, uint64_t key);

}  // namespace hone
