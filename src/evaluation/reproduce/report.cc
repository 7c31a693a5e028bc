#include "evaluation/reproduce/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/progress.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kFreeEnough = 0.9;

// Three digits that mean something; bytes as people read them.
std::string Number(double value, const std::string& unit) {
  if (unit == "bytes") return ReadableSize(static_cast<uint64_t>(std::max(0.0, value)));
  const double size = std::abs(value);
  if (size != 0.0 && (size < 0.001 || size >= 1e6)) return fmt::format("{:.2e} {}", value, unit);
  return fmt::format("{:.{}f} {}", value,
                     size >= 100                  ? 0
                     : size >= 10                 ? 1
                     : size >= 0.1 || size == 0.0 ? 2
                                                  : 4,
                     unit);
}

struct Columns {
  size_t model = 0, what = 0, measured = 0, expected = 0;
};

Columns Widths(const std::vector<Finding>& findings) {
  Columns columns;
  for (const Finding& finding : findings) {
    columns.model = std::max(columns.model, finding.model.size());
    columns.what = std::max(columns.what, finding.what.size());
    columns.measured = std::max(columns.measured, Number(finding.measured, finding.unit).size());
    columns.expected = std::max(columns.expected, finding.expected.size());
  }
  return columns;
}

std::string Line(const Finding& finding, const Columns& columns) {
  std::string line =
      fmt::format("  {:<{}}  {:<{}}  {:>{}}  {:<{}}  {:<8}", finding.model, columns.model, finding.what,
                  columns.what, Number(finding.measured, finding.unit), columns.measured, finding.expected,
                  columns.expected, finding.verdict == Verdict::kReported ? "" : Name(finding.verdict));
  if (!finding.paper.empty()) line += fmt::format("  paper: {}", finding.paper);
  while (line.ends_with(' ')) line.pop_back();
  line += "\n";
  if (!finding.difference.empty())
    line += fmt::format("  {:<{}}    {}\n", "", columns.model, finding.difference);
  return line;
}

}  // namespace

std::string_view Name(Aspect aspect) {
  constexpr std::string_view kNames[] = {"quality", "speed", "memory"};
  return kNames[static_cast<size_t>(aspect)];
}

std::string_view Name(Verdict verdict) {
  constexpr std::string_view kNames[] = {"reported", "holds", "differs"};
  return kNames[static_cast<size_t>(verdict)];
}

Finding& Finding::AtLeast(double bound) {
  expected = fmt::format(">= {:g}", bound);
  verdict = measured >= bound ? Verdict::kHolds : Verdict::kDiffers;
  return *this;
}

Finding& Finding::AtMost(double bound) {
  expected = fmt::format("<= {:g}", bound);
  verdict = measured <= bound ? Verdict::kHolds : Verdict::kDiffers;
  return *this;
}

Finding& Finding::Within(double low, double high) {
  expected = fmt::format("{:g} to {:g}", low, high);
  verdict = measured >= low && measured <= high ? Verdict::kHolds : Verdict::kDiffers;
  return *this;
}

Finding& Finding::Paper(std::string text) {
  paper = std::move(text);
  return *this;
}

Finding& Finding::Difference(std::string text) {
  difference = std::move(text);
  return *this;
}

Finding& Report::Add(Aspect aspect, std::string model, std::string what, double measured, std::string unit) {
  return findings.emplace_back(Finding{aspect, std::move(model), std::move(what), measured, std::move(unit)});
}

bool Report::quiet() const {
  return std::min(free_cores_before, free_cores_after) >= kFreeEnough * static_cast<double>(threads);
}

int64_t Report::Count(Verdict verdict) const {
  return std::count_if(findings.begin(), findings.end(),
                       [&](const Finding& finding) { return finding.verdict == verdict; });
}

std::string ReportText(const Report& report) {
  std::string text = fmt::format("{}: {}\n{}, {} threads; {:.2f} cores free before, {:.2f} after; {:.0f} s\n",
                                 report.experiment, report.paper, report.machine, report.threads,
                                 report.free_cores_before, report.free_cores_after, report.seconds);
  if (!report.quiet())
    text += "The machine did other work meanwhile: the speeds below are not to be relied on.\n";
  if (!report.models.empty()) text += fmt::format("models: {}\n", fmt::join(report.models, ", "));
  if (!report.text.empty()) text += fmt::format("text: {}\n", report.text);
  const Columns columns = Widths(report.findings);
  for (const Aspect aspect : {Aspect::kQuality, Aspect::kSpeed, Aspect::kMemory}) {
    bool first = true;
    for (const Finding& finding : report.findings) {
      if (finding.aspect != aspect) continue;
      if (first) text += fmt::format("\n{}\n", Name(aspect));
      first = false;
      text += Line(finding, columns);
    }
  }
  text += fmt::format("\n{} of {} claims hold here\n", report.Count(Verdict::kHolds),
                      report.Count(Verdict::kHolds) + report.Count(Verdict::kDiffers));
  for (const std::string& note : report.notes) text += "- " + note + "\n";
  return text;
}

std::string ReportJson(const Report& report) {
  Json json = {{"experiment", report.experiment},
               {"paper", report.paper},
               {"machine", report.machine},
               {"threads", report.threads},
               {"free_cores_before", report.free_cores_before},
               {"free_cores_after", report.free_cores_after},
               {"quiet", report.quiet()},
               {"seconds", report.seconds},
               {"models", report.models},
               {"text", report.text}};
  json["findings"] = Json::array();
  for (const Finding& finding : report.findings) {
    json["findings"].push_back({{"aspect", Name(finding.aspect)},
                                {"model", finding.model},
                                {"what", finding.what},
                                {"measured", finding.measured},
                                {"unit", finding.unit},
                                {"paper", finding.paper},
                                {"expected", finding.expected},
                                {"verdict", Name(finding.verdict)},
                                {"difference", finding.difference}});
  }
  json["notes"] = report.notes;
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hone
