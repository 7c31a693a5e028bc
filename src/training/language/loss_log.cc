#include "training/language/loss_log.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "core/base/output_file.h"
#include "core/downloads/gnuplot.h"

namespace hone {
namespace {

constexpr const char* kColumns = "step,tokens,loss,held_out,rate,gradient_norm,seconds\n";

std::string LineText(const LossLine& line) {
  const std::string held_out = line.held_out < 0.0 ? "" : fmt::format("{}", line.held_out);
  return fmt::format("{},{},{},{},{},{},{:.3f}\n", line.step, line.tokens, line.loss, held_out, line.rate,
                     line.gradient_norm, line.seconds);
}

// Whether the text was a whole line; `line` is filled.
bool ParseLine(const std::string& text, LossLine& line) {
  long long step = 0;
  long long tokens = 0;
  int end = -1;
  line.held_out = -1.0;
  if (text.find(",,") != std::string::npos) {
    std::sscanf(text.c_str(), "%lld,%lld,%lf,,%lf,%lf,%lf%n", &step, &tokens, &line.loss, &line.rate,
                &line.gradient_norm, &line.seconds, &end);
  } else {
    std::sscanf(text.c_str(), "%lld,%lld,%lf,%lf,%lf,%lf,%lf%n", &step, &tokens, &line.loss, &line.held_out,
                &line.rate, &line.gradient_norm, &line.seconds, &end);
  }
  line.step = step;
  line.tokens = tokens;
  return end == static_cast<int>(text.size());
}

// Mean over the lines within some hundred steps: single batches jump too much to be read.
std::string SmoothedPoints(const std::vector<LossLine>& lines) {
  constexpr size_t kPoints = 400;
  const size_t stride = std::max<size_t>(1, lines.size() / kPoints);
  std::string points;
  for (size_t begin = 0; begin < lines.size(); begin += stride) {
    const size_t end = std::min(lines.size(), begin + stride);
    double sum = 0.0;
    for (size_t i = begin; i < end; ++i) sum += lines[i].loss;
    points += fmt::format("{} {:.5f}\n", static_cast<double>(lines[end - 1].tokens) / 1e6,
                          sum / static_cast<double>(end - begin));
  }
  return points + "e\n";
}

std::string HeldOutPoints(const std::vector<LossLine>& lines) {
  std::string points;
  for (const LossLine& line : lines) {
    if (line.held_out >= 0.0)
      points += fmt::format("{} {:.5f}\n", static_cast<double>(line.tokens) / 1e6, line.held_out);
  }
  return points + "e\n";
}

}  // namespace

Result<std::vector<LossLine>> ReadLossLog(const std::string& path, int64_t last_step) {
  std::vector<LossLine> lines;
  if (!std::filesystem::exists(path)) return lines;
  std::ifstream file(path);
  if (!file) return Failed("{}: open: {}", path, std::strerror(errno));
  std::string text;
  if (!std::getline(file, text) || text + "\n" != kColumns)
    return BadInput(path, "line 1", "\"{}\", expected the columns of a loss log", text);
  LossLine line;
  while (std::getline(file, text) && ParseLine(text, line) && line.step <= last_step) lines.push_back(line);
  return lines;
}

Result<LossLog> LossLog::Begin(const std::string& path, std::vector<LossLine> lines) {
  LossLog log;
  log.path_ = path;
  log.lines_ = std::move(lines);
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  std::string text = kColumns;
  for (const LossLine& line : log.lines_) text += LineText(line);
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(text))));
  HONE_CHECK_OK(file.Commit());
  return log;
}

Result<void> LossLog::Append(const LossLine& line) {
  lines_.push_back(line);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path_.c_str(), "a"), std::fclose);
  const std::string text = LineText(line);
  if (!file || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() ||
      std::fflush(file.get()) != 0)
    return Failed("{}: append: {}", path_, std::strerror(errno));
  return {};
}

Result<void> DrawLossCurve(const std::vector<LossLine>& lines, const std::string& title,
                           const std::string& folder) {
  if (lines.empty()) return Failed("{}: no steps to draw", folder);
  const std::string script = folder + "/loss.gnuplot";
  const std::string plot = fmt::format(
      "plot '-' with lines lw 1 lc rgb '#5b8fd6' title 'batches', '-' with linespoints lw 2 pt 7 ps 0.5 lc "
      "rgb '#c0504d' "
      "title 'held-out text'\n{}{}",
      SmoothedPoints(lines), HeldOutPoints(lines));
  std::string text = fmt::format(
      "set title '{}' noenhanced\nset xlabel 'million tokens trained on'\nset ylabel 'loss, nats a "
      "token'\nset grid\n"
      "set key top right\n",
      title);
  text += fmt::format("set terminal svg size 800,480 background rgb 'white'\nset output '{}/loss.svg'\n{}",
                      folder, plot);
  text += fmt::format("set terminal png size 800,480\nset output '{}/loss.png'\n{}", folder, plot);
  return RunGnuplot(script, text);
}

}  // namespace hone
