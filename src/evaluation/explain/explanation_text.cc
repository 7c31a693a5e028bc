#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/progress.h"
#include "evaluation/explain/explanation.h"
#include "evaluation/explain/techniques.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kTopCosts = 3;

std::string Milliseconds(double seconds) {
  const double ms = seconds * 1e3;
  return fmt::format("{:.{}f} ms", ms, ms >= 100 ? 0 : ms >= 10 ? 1 : ms >= 1 ? 2 : 3);
}

std::string Operations(double count) {
  if (count >= 1e9) return fmt::format("{:.1f} G", count * 1e-9);
  if (count >= 1e6) return fmt::format("{:.1f} M", count * 1e-6);
  return fmt::format("{:.0f} k", count * 1e-3);
}

std::string Bytes(double bytes) { return bytes <= 0.0 ? "-" : ReadableSize(static_cast<uint64_t>(bytes)); }

// Steps of decoding are told by step, a prompt as a whole.
double Stretches(const StageCost& stage) {
  return stage.name == "decode" ? static_cast<double>(stage.shape.rows) : 1.0;
}

std::string StageTitle(const StageCost& stage) {
  const StepShape& shape = stage.shape;
  const std::string many =
      shape.sequences == 1 ? "" : fmt::format(" for each of {} sequences", shape.sequences);
  if (stage.name == "decode") return fmt::format("decode, one token{} behind {} others", many, shape.context);
  return fmt::format("prefill, {} tokens{}{}", shape.rows, many,
                     shape.context > 0 ? fmt::format(" behind {} others", shape.context) : "");
}

std::string StageTable(const StageCost& stage) {
  const double part = 1.0 / Stretches(stage);
  std::string text = fmt::format(
      "\n{}: {} measured ({:.1f} tokens/s), {} predicted ({:.0f} % reached)\n", StageTitle(stage),
      Milliseconds(stage.wall_seconds * part), static_cast<double>(stage.tokens) / stage.wall_seconds,
      Milliseconds(stage.predicted_seconds() * part), 100.0 * stage.predicted_seconds() / stage.wall_seconds);
  text += fmt::format("  {:<18} {:>9} {:>9} {:>11} {:>10}  {:<7} {:>10} {:>10} {:>6} {:>8}\n", "operator",
                      "weights", "KV", "activations", "operations", "limit", "predicted", "measured", "share",
                      "reached");
  for (const OperatorCost& cost : stage.costs) {
    if (cost.measured_seconds <= 0.0) continue;
    const OperatorWork& work = cost.work;
    text += fmt::format(
        "  {:<18} {:>9} {:>9} {:>11} {:>10}  {:<7} {:>10} {:>10} {:>4.0f} % {:>6.0f} %\n", Name(cost.op),
        Bytes(work.weight_bytes * part), Bytes(work.kv_bytes * part), Bytes(work.activation_bytes * part),
        Operations((work.float_operations + work.byte_operations) * part),
        cost.memory_bound() ? "memory" : "compute", Milliseconds(cost.predicted_seconds() * part),
        Milliseconds(cost.measured_seconds * part), 100.0 * cost.measured_seconds / stage.wall_seconds,
        100.0 * cost.predicted_seconds() / cost.measured_seconds);
  }
  return text + fmt::format("  outside the operators' timers: {:.1f} %\n", 100.0 * stage.unaccounted());
}

Factor LimitOf(const OperatorCost& cost) { return cost.memory_bound() ? kAccess : kCompute; }

// "33.2 MB of weights", "12.2 MB of keys and values" or both.
std::string ReadFromMemory(const OperatorWork& work, double part) {
  std::string text;
  if (work.weight_bytes > 0.0) text += Bytes(work.weight_bytes * part) + " of weights";
  if (work.kv_bytes > 0.0)
    text += (text.empty() ? "" : " and ") + Bytes(work.kv_bytes * part) + " of keys and values";
  return text.empty() ? Bytes(work.activation_bytes * part) + " of activations" : text;
}

std::string Reason(const OperatorCost& cost, double part) {
  const OperatorWork& work = cost.work;
  if (cost.memory_bound()) return "waits for memory: " + ReadFromMemory(work, part);
  const double operations = work.float_operations + work.byte_operations;
  return fmt::format("computes: {} operations on {}, {:.0f} for each byte from memory",
                     Operations(operations * part), work.byte_operations > 0.0 ? "bytes" : "floats",
                     operations / std::max(work.weight_bytes + work.kv_bytes, 1.0));
}

// The three largest costs and the names of what lowers each, then each of these once.
std::string TopCosts(const StageCost& stage) {
  std::string text = fmt::format("\nWhere the time of {} goes, and what lowers it\n", stage.name);
  std::vector<const Technique*> named;
  for (size_t i = 0; i < std::min(kTopCosts, stage.costs.size()); ++i) {
    const OperatorCost& cost = stage.costs[i];
    text +=
        fmt::format("  {}. {}, {:.0f} %, {}\n", i + 1, Name(cost.op),
                    100.0 * cost.measured_seconds / stage.wall_seconds, Reason(cost, 1.0 / Stretches(stage)));
    std::vector<std::string_view> names;
    for (const Technique* technique : TechniquesFor(cost.op, LimitOf(cost))) {
      names.push_back(technique->name);
      if (std::find(named.begin(), named.end(), technique) == named.end()) named.push_back(technique);
    }
    text += fmt::format("     {}\n", names.empty() ? "no technique of this program"
                                                   : fmt::format("{}", fmt::join(names, ", ")));
  }
  for (const Technique* technique : named)
    text += fmt::format("  {}: {} ({})\n", technique->name, technique->gain, technique->how);
  return text;
}

Json CostJson(const OperatorCost& cost, const StageCost& stage) {
  Json techniques = Json::array();
  for (const Technique* technique : TechniquesFor(cost.op, LimitOf(cost)))
    techniques.push_back(technique->name);
  return {{"operator", Name(cost.op)},
          {"weight_bytes", cost.work.weight_bytes},
          {"kv_bytes", cost.work.kv_bytes},
          {"activation_bytes", cost.work.activation_bytes},
          {"float_operations", cost.work.float_operations},
          {"byte_operations", cost.work.byte_operations},
          {"limit", cost.memory_bound() ? "memory" : "compute"},
          {"memory_seconds", cost.memory_seconds},
          {"compute_seconds", cost.compute_seconds},
          {"predicted_seconds", cost.predicted_seconds()},
          {"measured_seconds", cost.measured_seconds},
          {"share", cost.measured_seconds / stage.wall_seconds},
          {"techniques", techniques}};
}

}  // namespace

std::string ExplanationText(const Explanation& explanation) {
  const MachineLimits& limits = explanation.limits;
  std::string text = fmt::format(
      "{}: {} mode, {} threads\n{}: reads {}/s from memory and {}/s from caches, {:.0f} GFLOP/s, {:.0f} "
      "Gop/s "
      "on bytes; {:.2f} cores free\n",
      std::filesystem::path(explanation.model).filename().string(), explanation.mode, explanation.threads,
      explanation.machine, ReadableSize(static_cast<uint64_t>(limits.memory_bandwidth)),
      ReadableSize(static_cast<uint64_t>(limits.cache_bandwidth)), limits.float_operations * 1e-9,
      limits.byte_operations * 1e-9, limits.free_cores);
  if (!LimitsAreQuiet(explanation))
    text += "The machine did other work meanwhile: the figures below are not to be relied on.\n";
  for (const StageCost& stage : explanation.stages) text += StageTable(stage);
  for (const StageCost& stage : explanation.stages) text += TopCosts(stage);
  return text;
}

std::string ExplanationJson(const Explanation& explanation) {
  const MachineLimits& limits = explanation.limits;
  Json json = {{"model", explanation.model},
               {"machine", explanation.machine},
               {"mode", explanation.mode},
               {"threads", explanation.threads},
               {"limits",
                {{"memory_bandwidth", limits.memory_bandwidth},
                 {"cache_bandwidth", limits.cache_bandwidth},
                 {"float_operations", limits.float_operations},
                 {"byte_operations", limits.byte_operations},
                 {"free_cores", limits.free_cores}}},
               {"quiet", LimitsAreQuiet(explanation)},
               {"stages", Json::array()}};
  for (const StageCost& stage : explanation.stages) {
    Json costs = Json::array();
    for (const OperatorCost& cost : stage.costs) costs.push_back(CostJson(cost, stage));
    json["stages"].push_back({{"stage", stage.name},
                              {"sequences", stage.shape.sequences},
                              {"context", stage.shape.context},
                              {"rows", stage.shape.rows},
                              {"tokens", stage.tokens},
                              {"wall_seconds", stage.wall_seconds},
                              {"predicted_seconds", stage.predicted_seconds()},
                              {"unaccounted", stage.unaccounted()},
                              {"operators", costs}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hone
