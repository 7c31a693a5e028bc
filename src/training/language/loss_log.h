// The numbers of a run, one line a step in FOLDER/log.csv, and their picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace hone {

struct LossLine {
  int64_t step = 0;        // steps that are done, this one included
  int64_t tokens = 0;      // trained on so far
  double loss = 0.0;       // of this step's batch before its update, nats a token
  double held_out = -1.0;  // nats a token after this step; negative: not measured at this step
  double rate = 0.0;
  double gradient_norm = 0.0;  // before clipping
  double seconds = 0.0;        // of this step
};

// Lines that are there, of steps up to `last_step`; later ones belong to work that a kill undid. A line that
// is broken off ends the log. No file: none.
Result<std::vector<LossLine>> ReadLossLog(const std::string& path, int64_t last_step);

class LossLog {
 public:
  // Writes the file anew with `lines`, to be appended to.
  static Result<LossLog> Begin(const std::string& path, std::vector<LossLine> lines);
  Result<void> Append(const LossLine& line);
  const std::vector<LossLine>& lines() const { return lines_; }

 private:
  std::string path_;
  std::vector<LossLine> lines_;
};

// Draws loss and held-out loss over tokens as FOLDER/loss.svg and FOLDER/loss.png with gnuplot. An error
// where gnuplot is not there or complains.
Result<void> DrawLossCurve(const std::vector<LossLine>& lines, const std::string& title,
                           const std::string& folder);

}  // namespace hone
