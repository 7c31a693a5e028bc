// What an experiment found: one finding a line, the paper's claim beside what was measured here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

enum class Aspect : uint8_t { kQuality, kSpeed, kMemory };
std::string_view Name(Aspect aspect);

enum class Verdict : uint8_t {
  kReported,  // a number without a bound
  kHolds,
  kDiffers,
};
std::string_view Name(Verdict verdict);

struct Finding {
  Aspect aspect = Aspect::kSpeed;
  std::string model;  // as the user calls it; empty: no model is concerned
  std::string what;   // "decode speed-up over F16, batch 1"
  double measured = 0.0;
  std::string unit = {};      // "x", "%", "tokens/s", "bytes"
  std::string paper = {};     // the paper's figure and what it was measured on; empty: it gives none
  std::string expected = {};  // the bound that the verdict was taken by
  Verdict verdict = Verdict::kReported;
  std::string difference = {};  // why it differs or what the reader must know

  // Each sets the bound and the verdict.
  Finding& AtLeast(double bound);
  Finding& AtMost(double bound);
  Finding& Within(double low, double high);
  Finding& Paper(std::string text);
  Finding& Difference(std::string text);
};

// A report with everything a reader needs to judge it: machine, threads, how much of the machine was free.
struct Report {
  std::string experiment;
  std::string paper;
  std::string machine;  // see ProcessorKey
  int threads = 0;
  // Processors' worth of arithmetic that the threads got before and after the experiment.
  double free_cores_before = 0.0;
  double free_cores_after = 0.0;
  double seconds = 0.0;
  std::vector<std::string> models;
  std::string text;  // what was read; empty: none
  std::vector<Finding> findings;
  std::vector<std::string> notes;

  Finding& Add(Aspect aspect, std::string model, std::string what, double measured, std::string unit);
  // Whether the machine gave every thread its core, within a tenth.
  bool quiet() const;
  int64_t Count(Verdict verdict) const;
};

// For people: sections by aspect, columns aligned.
std::string ReportText(const Report& report);
// For machines: one JSON object.
std::string ReportJson(const Report& report);

}  // namespace hone
