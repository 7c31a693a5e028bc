#include "core/base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace hone {
namespace {

constexpr double kQuietSeconds = 2.0;
constexpr double kRedrawSeconds = 0.1;
constexpr double kLineSeconds = 5.0;
constexpr int kLeastBar = 10;

std::string ReadableTime(double seconds) {
  const auto whole = static_cast<int64_t>(std::ceil(seconds));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

std::string ReadableSize(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"kB", "MB", "GB", "TB", "PB", "EB"}) {
    value /= 1000.0;
    unit = next;
    if (value < 999.5) break;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, unit);
}

ProgressOutput ProgressOutput::StandardError() {
  ProgressOutput output;
  output.terminal = isatty(STDERR_FILENO) != 0;
  winsize size{};
  if (output.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    output.width = size.ws_col;
  output.seconds = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  output.write = [](std::string_view text) { fwrite(text.data(), 1, text.size(), stderr); };
  return output;
}

Progress::Progress(std::string label, uint64_t total, Unit unit, ProgressOutput output)
    : label_(std::move(label)),
      total_(total),
      unit_(unit),
      output_(std::move(output)),
      start_(output_.seconds()) {}

Progress::~Progress() { Finish(); }

std::string Progress::Line(double now) const {
  const auto amount = [&](uint64_t count) {
    return unit_ == Unit::kBytes ? ReadableSize(count) : fmt::format("{}", count);
  };
  const double elapsed = std::max(now - start_, 1e-9);
  const double rate = static_cast<double>(done_ - first_done_) / elapsed;
  const std::string speed = unit_ == Unit::kBytes ? ReadableSize(static_cast<uint64_t>(rate)) + "/s"
                                                  : fmt::format("{:.1f}/s", rate);
  if (total_ == 0) return fmt::format("{}  {}  {}", label_, amount(done_), speed);

  const double part = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  const std::string left =
      rate > 0.0 && done_ < total_ ? ReadableTime(static_cast<double>(total_ - done_) / rate) + " left" : "";
  std::string numbers =
      fmt::format("{:3.0f} %  {} of {}  {}", std::floor(100.0 * part), amount(done_), amount(total_), speed);
  if (!left.empty()) numbers += "  " + left;
  if (!output_.terminal) return fmt::format("{}  {}", label_, numbers);
  const int bar = output_.width - 1 - static_cast<int>(label_.size() + numbers.size()) - 6;
  if (bar < kLeastBar)
    return fmt::format("{}  {}", label_, numbers).substr(0, std::max(output_.width - 1, 0));
  const int full = static_cast<int>(part * bar);
  return fmt::format("{}  [{}{}]  {}", label_, std::string(full, '#'), std::string(bar - full, '.'), numbers);
}

void Progress::Update(uint64_t done) {
  if (!started_) {
    first_done_ = done;
    started_ = true;
  }
  done_ = done;
  const double now = output_.seconds();
  if (now - start_ < kQuietSeconds) return;
  if (last_drawn_ >= 0.0 && now - last_drawn_ < (output_.terminal ? kRedrawSeconds : kLineSeconds)) return;
  last_drawn_ = now;
  output_.write(output_.terminal ? "\r\x1b[2K" + Line(now) : Line(now) + "\n");
}

void Progress::Finish() {
  if (finished_) return;
  finished_ = true;
  if (last_drawn_ < 0.0) return;
  output_.write((output_.terminal ? "\r\x1b[2K" : "") + Line(output_.seconds()) + "\n");
}

}  // namespace hone
