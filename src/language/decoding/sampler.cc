#include "language/decoding/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "core/base/random.h"
#include "core/kernels/elementwise.h"
#include "language/decoding/penalties.h"
#include "language/decoding/random_use.h"
#include "language/decoding/truncation.h"

namespace hone {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();
constexpr size_t kDrawBlock =
    4096;  // logits whose mass is summed at once when a whole vocabulary is drawn from

uint64_t FreshSeed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

Result<void> InRange(const char* name, double value, double low, double high) {
  if (value >= low && value <= high) return {};
  return WrongUsage("{}: found {}, expected a number from {} to {}", name, value, low, high);
}

Result<void> Check(const SamplingOptions& options, int64_t vocabulary) {
  constexpr double kLargest = 1e6;
  constexpr double kSmallest = 1e-6;
  HONE_CHECK_OK(InRange("temperature", options.temperature, 0.0, kLargest));
  HONE_CHECK_OK(InRange("top_p", options.top_p, 0.0, 1.0));
  HONE_CHECK_OK(InRange("min_p", options.min_p, 0.0, 1.0));
  HONE_CHECK_OK(InRange("typical_p", options.typical_p, kSmallest, 1.0));
  HONE_CHECK_OK(InRange("repetition_penalty", options.repetition_penalty, kSmallest, kLargest));
  HONE_CHECK_OK(InRange("presence_penalty", options.presence_penalty, -kLargest, kLargest));
  HONE_CHECK_OK(InRange("frequency_penalty", options.frequency_penalty, -kLargest, kLargest));
  if (options.top_k < -1) {
    return WrongUsage("top_k: found {}, expected a count of tokens, or 0 or -1 for off", options.top_k);
  }
  for (const auto& [id, bias] : options.logit_bias) {
    if (id < 0 || id >= vocabulary) {
      return WrongUsage("logit_bias: found token {}, expected an id from 0 to {}", id, vocabulary - 1);
    }
    if (!std::isfinite(bias))
      return WrongUsage("logit_bias: found {} for token {}, expected a finite number", bias, id);
  }
  return {};
}

// The token at `point` of [0, 1) of the list's mass, laid out in its order.
TokenId Draw(std::span<const ScoredToken> tokens, double point) {
  const float largest = tokens.front().logit;
  double sum = 0.0;
  for (const ScoredToken& token : tokens) sum += std::exp(static_cast<double>(token.logit) - largest);
  double left = point * sum;
  TokenId last = tokens.front().id;
  for (const ScoredToken& token : tokens) {
    const double weight = std::exp(static_cast<double>(token.logit) - largest);
    if (weight > 0.0) last = token.id;
    left -= weight;
    if (left < 0.0) return token.id;
  }
  return last;  // rounding ate the rest
}

// The same over a whole vocabulary: the mass of blocks first, then the one block that holds the point.
TokenId DrawDense(std::span<const float> logits, double point) {
  const float largest = logits[static_cast<size_t>(ArgMax(logits))];
  std::vector<double> masses;
  double sum = 0.0;
  for (size_t begin = 0; begin < logits.size(); begin += kDrawBlock) {
    const auto block = logits.subspan(begin, std::min(kDrawBlock, logits.size() - begin));
    const bool possible = block[static_cast<size_t>(ArgMax(block))] != kBanned;
    masses.push_back(possible ? std::exp(LogSumExp(block) - largest) : 0.0);
    sum += masses.back();
  }
  double left = point * sum;
  size_t chosen = 0;
  for (size_t i = 0; i < masses.size(); ++i) {
    if (masses[i] == 0.0) continue;
    chosen = i;
    if (left < masses[i]) break;
    left -= masses[i];
  }
  size_t token = chosen * kDrawBlock;
  const size_t end = std::min(token + kDrawBlock, logits.size());
  for (size_t i = token; i < end; ++i) {
    const double weight = std::exp(static_cast<double>(logits[i]) - largest);
    if (weight == 0.0) continue;
    token = i;
    left -= weight;
    if (left < 0.0) break;
  }
  return static_cast<TokenId>(token);
}

}  // namespace

uint64_t ChoiceSeed(uint64_t seed, int64_t choice) {
  if (choice == 0) return seed;
  const auto words = RandomWords(seed, static_cast<uint64_t>(choice), kDrawChoiceSeed);
  return (static_cast<uint64_t>(words[0]) << 32) | words[1];
}

double LogProbability(std::span<const float> logits, TokenId token) {
  return logits[static_cast<size_t>(token)] - LogSumExp(logits);
}

Result<Sampler> Sampler::Create(const SamplingOptions& options, int64_t vocabulary) {
  HONE_CHECK_OK(Check(options, vocabulary));
  Sampler sampler;
  sampler.seed_ = options.seed ? *options.seed : FreshSeed();
  sampler.greedy_ = options.temperature == 0.0;
  auto& adjusting = sampler.adjusting_;
  if (!options.logit_bias.empty()) adjusting.push_back(std::make_unique<LogitBias>(options.logit_bias));
  if (options.repetition_penalty != 1.0) {
    adjusting.push_back(std::make_unique<RepetitionPenalty>(static_cast<float>(options.repetition_penalty)));
  }
  if (options.presence_penalty != 0.0 || options.frequency_penalty != 0.0) {
    adjusting.push_back(std::make_unique<OccurrencePenalty>(static_cast<float>(options.presence_penalty),
                                                            static_cast<float>(options.frequency_penalty)));
  }
  if (sampler.greedy_) return sampler;
  auto& truncating = sampler.truncating_;
  if (options.top_k > 0) truncating.push_back(std::make_unique<TopK>(options.top_k));
  if (options.typical_p < 1.0) truncating.push_back(std::make_unique<Typical>(options.typical_p));
  if (options.top_p < 1.0) truncating.push_back(std::make_unique<TopP>(options.top_p));
  if (options.min_p > 0.0) truncating.push_back(std::make_unique<MinP>(options.min_p));
  if (options.temperature != 1.0) {
    truncating.push_back(std::make_unique<Temperature>(static_cast<float>(options.temperature)));
  }
  return sampler;
}

void Sampler::AddProcessor(std::unique_ptr<LogitsProcessor> processor) {
  adjusting_.push_back(std::move(processor));
}

void Sampler::Narrow(const TokenContext& context, std::span<float> logits) {
  scores_.Reset(logits);
  for (const auto& processor : adjusting_) processor->Apply(context, scores_);
  for (const auto& processor : truncating_) processor->Apply(context, scores_);
}

Result<TokenId> Sampler::Choose(const TokenContext& context, std::span<float> logits) {
  Narrow(context, logits);
  const double point =
      greedy_ ? 0.0 : RandomUniformDouble(seed_, static_cast<uint64_t>(context.position()), kDrawToken);
  if (!scores_.dense()) {
    if (scores_.kept().empty())
      return Failed("sampling: no token is allowed at position {}", context.position());
    return Draw(scores_.kept(), point);
  }
  const auto best = static_cast<TokenId>(ArgMax(scores_.logits()));
  if (scores_.logits()[static_cast<size_t>(best)] == kBanned) {
    return Failed("sampling: no token is allowed at position {}", context.position());
  }
  return greedy_ ? best : DrawDense(scores_.logits(), point);
}

Result<std::vector<ScoredToken>> Sampler::Distribution(const TokenContext& context, std::span<float> logits) {
  Narrow(context, logits);
  if (greedy_) scores_.KeepLargest(1);
  scores_.KeepFrom(kBanned);
  if (scores_.kept().empty())
    return Failed("sampling: no token is allowed at position {}", context.position());
  const double log_mass = scores_.LogMass();
  std::vector<ScoredToken> tokens(scores_.kept().begin(), scores_.kept().end());
  for (ScoredToken& token : tokens) token.logit = static_cast<float>(std::exp(token.logit - log_mass));
  return tokens;
}

void Sampler::Commit(TokenId token) {
  for (const auto& processor : adjusting_) processor->Commit(token);
}

void Sampler::RollBack(int64_t tokens) {
  for (const auto& processor : adjusting_) processor->RollBack(tokens);
}

}  // namespace hone
