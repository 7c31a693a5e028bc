// Shows how far long work has come, on standard error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace hone {

// "98.4 MB": three digits, powers of 1000.
std::string ReadableSize(uint64_t bytes);

// Where progress goes. The default writes to standard error and knows whether that is a terminal.
struct ProgressOutput {
  bool terminal = false;
  int width = 80;                               // columns of a terminal
  std::function<double()> seconds;              // a clock
  std::function<void(std::string_view)> write;  // text as it is

  static ProgressOutput StandardError();
};

// Work that is over within two seconds shows nothing. After that a terminal sees a bar that is redrawn ten
// times a second; anything else a line every five seconds. Used by one thread.
class Progress {
 public:
  enum class Unit { kBytes, kItems };

  // `total` 0: not known; the rate is shown without an end. `done` of the first Update may be above zero (a
  // download that goes on): only what comes after it counts for the rate.
  Progress(std::string label, uint64_t total, Unit unit,
           ProgressOutput output = ProgressOutput::StandardError());
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void SetTotal(uint64_t total) { total_ = total; }
  void Update(uint64_t done);
  // Draws the last state, where anything was drawn, and ends the line. The destructor does the same.
  void Finish();

 private:
  std::string Line(double now) const;

  std::string label_;
  uint64_t total_;
  Unit unit_;
  ProgressOutput output_;
  double start_;
  double last_drawn_ = -1.0;
  uint64_t first_done_ = 0;
  uint64_t done_ = 0;
  bool started_ = false;
  bool finished_ = false;
};

}  // namespace hone
