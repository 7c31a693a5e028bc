// System: semi-PD (arXiv 2504.19867), section 5: the division of the machine follows the load.
// Idea: fit how time to first token and time per output token depend on the shares, and move shares from the
//   phase with slack to the phase that misses its objective.
// Cost: a least-squares fit of a few numbers a window. Composes with everything: no token depends on shares.
// Proof: hone reproduce semi-pd.
//
// The printed algorithm tests the first token alone first, never counts its steps and uses the new share
// before it is set; this follows the text. Completions of our own are marked so below.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "language/serving/step_executor.h"

namespace hone {

// What users of a server are promised.
struct ServiceObjectives {
  double ttft_seconds = 0.5;   // time to first token
  double tpot_seconds = 0.05;  // time per output token after the first
  double percentile = 0.9;     // of requests that must keep both
};

// TTFT(x) = a / (x - lambda) + b: an M/M/1 queue whose service rate is proportional to the share x; infinite
// for x <= lambda, the share that is just stable.
struct FirstTokenModel {
  double a = 0.0;
  double b = 0.0;
  double lambda = 0.0;
  double r2 = 0.0;  // of the fit, over the weighted history
  double At(double share) const;
};

// TPOT(y) = a / y + b.
struct TokenModel {
  double a = 0.0;
  double b = 0.0;
  double r2 = 0.0;
  double At(double share) const;
};

struct SharePoint {
  double share = 0.0;
  double seconds = 0.0;
  double weight = 1.0;
};

// Weighted least squares; the first scans lambda over [0, 0.98 times the smallest share] (ours: for a fixed
// lambda the model is linear). Both need two different shares.
FirstTokenModel FitFirstToken(std::span<const SharePoint> points);
TokenModel FitToken(std::span<const SharePoint> points);

struct ShareControllerOptions {
  // A window is this many decode steps and finished prompts (ours: the paper does not say).
  int64_t decode_steps = 32;
  int64_t prefills = 4;
  double step = 10.0;  // percent
  int max_steps = 3;
  double least = 10.0;            // no phase gets less
  int64_t history = 16;           // windows that a fit remembers, each weighing 0.85 of the next
  double longest_seconds = 30.0;  // a window ends after this, whatever it holds
};

// Used under the dispatcher's lock.
class ShareController {
 public:
  explicit ShareController(const ServiceObjectives& objectives, const ShareControllerOptions& options = {})
      : objectives_(objectives), options_(options) {}

  void AddArrival() { ++arrivals_; }
  // A prompt was read: seconds from its arrival to its first token, and those that its rows themselves took.
  void AddFirstToken(double seconds, double busy_seconds);
  // A decode step that gave tokens to jobs, the seconds since each one's token before.
  void AddGaps(std::span<const double> seconds);

  // Ends the window if it is full and decides anew; true: shares() changed.
  bool Update(double now);

  const Shares& shares() const { return shares_; }
  const FirstTokenModel& first_token_model() const { return first_token_; }
  const TokenModel& token_model() const { return token_; }
  // Of the last whole window, at the objectives' percentile; negative: none yet.
  double window_ttft() const { return window_ttft_; }
  double window_tpot() const { return window_tpot_; }
  int64_t moves() const { return moves_; }

 private:
  struct Window {
    Shares shares;
    double ttft = -1.0;
    double tpot = -1.0;
    double rate = 0.0;  // arrivals a second
  };
  void Refit(double solo_seconds);
  Shares Decide(double ttft, double tpot) const;
  double Fraction(double share, double other) const { return 100.0 * share / (share + other); }

  ServiceObjectives objectives_;
  ShareControllerOptions options_;
  Shares shares_;
  FirstTokenModel first_token_;
  TokenModel token_;
  std::deque<Window> history_;
  int64_t arrivals_ = 0;
  int64_t decode_steps_ = 0;
  std::vector<double> ttft_;
  std::vector<double> busy_;
  std::vector<double> gaps_;
  double window_start_ = -1.0;
  double window_ttft_ = -1.0;
  double window_tpot_ = -1.0;
  int64_t moves_ = 0;
  int64_t windows_since_move_ = 1000;
  int last_direction_ = 0;  // 1: towards prefill, -1: towards decode
};

}  // namespace hone
