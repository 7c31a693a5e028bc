#include "language/serving/share_controller.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "language/serving/percentile.h"

namespace hone {
namespace {

constexpr double kForget = 0.85;  // what a window weighs beside the next
constexpr double kInfinite = std::numeric_limits<double>::infinity();

struct Line {
  double slope = 0.0;
  double offset = 0.0;
  double error = kInfinite;  // weighted sum of squares
};

// Weighted least squares of seconds = slope * f(share) + offset.
template <class F>
Line FitLine(std::span<const SharePoint> points, F f) {
  double w = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (const SharePoint& p : points) {
    const double at = f(p.share);
    w += p.weight;
    x += p.weight * at;
    y += p.weight * p.seconds;
    xx += p.weight * at * at;
    xy += p.weight * at * p.seconds;
  }
  const double determinant = w * xx - x * x;
  Line line;
  if (determinant <= 1e-12 * w * xx) return line;
  line.slope = (w * xy - x * y) / determinant;
  line.offset = (y - line.slope * x) / w;
  line.error = 0.0;
  for (const SharePoint& p : points) {
    const double left = p.seconds - line.slope * f(p.share) - line.offset;
    line.error += p.weight * left * left;
  }
  return line;
}

double Variation(std::span<const SharePoint> points) {
  double w = 0, y = 0, yy = 0;
  for (const SharePoint& p : points) {
    w += p.weight;
    y += p.weight * p.seconds;
    yy += p.weight * p.seconds * p.seconds;
  }
  return w > 0 ? yy - y * y / w : 0.0;
}

double RSquared(std::span<const SharePoint> points, double error) {
  const double variation = Variation(points);
  return variation > 0.0 ? 1.0 - error / variation : 0.0;
}

int DifferentShares(std::span<const SharePoint> points) {
  std::vector<double> shares;
  for (const SharePoint& p : points) shares.push_back(p.share);
  std::sort(shares.begin(), shares.end());
  return static_cast<int>(std::unique(shares.begin(), shares.end()) - shares.begin());
}

}  // namespace

double FirstTokenModel::At(double share) const {
  return share <= lambda ? kInfinite : a / (share - lambda) + b;
}
double TokenModel::At(double share) const { return share <= 0.0 ? kInfinite : a / share + b; }

FirstTokenModel FitFirstToken(std::span<const SharePoint> points) {
  FirstTokenModel best;
  double smallest = 100.0;
  for (const SharePoint& p : points) smallest = std::min(smallest, p.share);
  double error = kInfinite;
  constexpr int kScan = 98;
  for (int i = 0; i <= kScan; ++i) {
    const double lambda = smallest * i / 100.0;
    const Line line = FitLine(points, [&](double share) { return 1.0 / (share - lambda); });
    if (line.slope < 0.0 || line.error >= error) continue;
    error = line.error;
    best = {line.slope, line.offset, lambda, RSquared(points, line.error)};
  }
  return best;
}

TokenModel FitToken(std::span<const SharePoint> points) {
  const Line line = FitLine(points, [](double share) { return 1.0 / share; });
  if (line.error == kInfinite) return {};
  return {line.slope, line.offset, RSquared(points, line.error)};
}

void ShareController::AddFirstToken(double seconds, double busy_seconds) {
  ttft_.push_back(seconds);
  busy_.push_back(busy_seconds);
}

void ShareController::AddGaps(std::span<const double> seconds) {
  ++decode_steps_;
  gaps_.insert(gaps_.end(), seconds.begin(), seconds.end());
}

// With at least three different shares the whole model is fitted; with fewer (ours), lambda = 100 r l comes
// from the arrival rate and the time that prompts take, and a from the last point with b = 0.
void ShareController::Refit(double solo_seconds) {
  std::vector<SharePoint> first;
  std::vector<SharePoint> token;
  double weight = 1.0;
  const double rate = history_.back().rate;
  for (auto window = history_.rbegin(); window != history_.rend(); ++window, weight *= kForget) {
    // Windows of another load (ours: twice or half the rate) tell nothing about this one's queue.
    const bool same_load = window->rate <= 2.0 * rate && rate <= 2.0 * window->rate;
    const double x = Fraction(window->shares.prefill, window->shares.decode);
    const double y = Fraction(window->shares.decode, window->shares.prefill);
    if (window->ttft >= 0.0 && same_load) first.push_back({x, window->ttft, weight});
    if (window->tpot >= 0.0) token.push_back({y, window->tpot, weight});
  }
  if (DifferentShares(first) >= 3) {
    first_token_ = FitFirstToken(first);
  } else if (!first.empty()) {
    const double lambda = std::min(100.0 * rate * solo_seconds, 0.98 * first.front().share);
    first_token_ = {first.front().seconds * (first.front().share - lambda), 0.0, lambda, 0.0};
  }
  if (DifferentShares(token) >= 2) token_ = FitToken(token);
  const bool usable = token_.a > 0.0;
  if (!usable && !token.empty()) token_ = {token.front().seconds * token.front().share, 0.0, 0.0};
}

Shares ShareController::Decide(double ttft, double tpot) const {
  const bool prefill_misses = ttft > objectives_.ttft_seconds;
  const bool decode_misses = tpot > objectives_.tpot_seconds;
  if (prefill_misses == decode_misses) return shares_;  // nothing to mend, or no room to trade
  Shares next = shares_;
  double& mine = prefill_misses ? next.prefill : next.decode;
  double& other = prefill_misses ? next.decode : next.prefill;
  const auto misses = [&] {
    const double fraction = Fraction(mine, other);
    return prefill_misses ? first_token_.At(fraction) > objectives_.ttft_seconds
                          : token_.At(fraction) > objectives_.tpot_seconds;
  };
  for (int i = 0; i < options_.max_steps; ++i) {
    // At least one step: the model may be wrong, the window was measured.
    if (i > 0 && !misses()) break;
    if (mine < 100.0) {
      mine = std::min(100.0, mine + options_.step);
    } else if (other > options_.least) {
      other = std::max(options_.least, other - options_.step);
    } else {
      break;
    }
  }
  return next;
}

bool ShareController::Update(double now) {
  if (window_start_ < 0.0) window_start_ = now;
  const bool full =
      decode_steps_ >= options_.decode_steps && static_cast<int64_t>(ttft_.size()) >= options_.prefills;
  const double seconds = now - window_start_;
  if (seconds <= 0.0 || (!full && seconds < options_.longest_seconds)) return false;
  Window window{shares_};
  window.rate = static_cast<double>(arrivals_) / seconds;
  if (!ttft_.empty()) window.ttft = Percentile(ttft_, objectives_.percentile);
  if (!gaps_.empty()) window.tpot = Percentile(gaps_, objectives_.percentile);
  // As if alone with the whole machine (ours: the phases are taken to contend all the time).
  const double solo = Mean(busy_) * Fraction(shares_.prefill, shares_.decode) / 100.0;
  arrivals_ = decode_steps_ = 0;
  ttft_.clear();
  busy_.clear();
  gaps_.clear();
  window_start_ = now;
  if (window.ttft < 0.0 && window.tpot < 0.0) return false;
  window_ttft_ = window.ttft;
  window_tpot_ = window.tpot;
  history_.push_back(window);
  if (static_cast<int64_t>(history_.size()) > options_.history) history_.pop_front();
  Refit(solo);
  ++windows_since_move_;
  const Shares next = Decide(window.ttft, window.tpot);
  if (next == shares_) return false;
  const double before = Fraction(shares_.prefill, shares_.decode);
  const int direction = Fraction(next.prefill, next.decode) > before ? 1 : -1;
  // Ours: a move is not undone within two windows.
  if (direction == -last_direction_ && windows_since_move_ <= 2) return false;
  shares_ = next;
  last_direction_ = direction;
  windows_since_move_ = 0;
  ++moves_;
  return true;
}

}  // namespace hone
