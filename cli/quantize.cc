// hone quantize IN OUT --type T: a model file in fewer bits.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/text_input.h"
#include "core/base/compute_share.h"
#include "core/base/progress.h"
#include "core/downloads/model_cache.h"
#include "language/quantization/methods.h"
#include "language/quantization/mixed_model.h"

namespace hone {
namespace {

constexpr std::string_view kMixedType = "mixed2";

struct Options {
  std::string from;
  std::string to;
  std::string type = "Q4_K_M";
  std::string method = "search";
  std::string text;
  int64_t window = 512;
  int64_t windows = 32;
  std::string importance;                 // a file to read
  std::string save_importance;            // a file to write
  std::vector<std::string> tensor_types;  // NAME=TYPE
  int threads = 0;
  double bits = 2.91;
  bool uniform = false;
  bool no_substitutes = false;
  bool allow_requantize = false;
  bool dry_run = false;
  bool json = false;
};

Result<ForcedTypes> ReadForcedTypes(const std::vector<std::string>& texts) {
  ForcedTypes forced;
  for (const std::string& text : texts) {
    const size_t equals = text.rfind('=');
    const auto type = DTypeFromName(equals == std::string::npos ? "" : text.substr(equals + 1));
    if (!type)
      return WrongUsage("quantize: --tensor-type: \"{}\", expected NAME=TYPE such as output.weight=Q8_0",
                        text);
    forced.emplace_back(text.substr(0, equals), *type);
  }
  return forced;
}

Result<QuantizeOptions> ReadOptions(const Options& options) {
  QuantizeOptions quantize;
  HONE_TRY(quantize.mix, FindTypeMix(options.type));
  HONE_TRY(quantize.forced, ReadForcedTypes(options.tensor_types));
  quantize.uniform = options.uniform;
  quantize.no_substitutes = options.no_substitutes;
  quantize.allow_requantize = options.allow_requantize;
  return quantize;
}

std::map<std::string, int> CountTypes(const QuantizePlan& plan) {
  std::map<std::string, int> counts;
  for (const TypeChoice& choice : plan.choices) ++counts[std::string(Info(choice.type).name)];
  return counts;
}

void PrintJson(const QuantizeReport& report) {
  nlohmann::ordered_json substitutes = nlohmann::ordered_json::array();
  for (const Substitute& substitute : report.plan.substitutes) {
    substitutes.push_back({{"tensor", substitute.name},
                           {"columns", substitute.columns},
                           {"wanted", Info(substitute.wanted).name},
                           {"type", Info(substitute.type).name}});
  }
  const nlohmann::ordered_json json = {{"bytes", report.plan.bytes},
                                       {"source_bytes", report.plan.source_bytes},
                                       {"weights", report.plan.weights},
                                       {"bits_per_weight", report.plan.bits_per_weight()},
                                       {"tensors", CountTypes(report.plan)},
                                       {"substitutes", substitutes},
                                       {"requantized", report.plan.requantized},
                                       {"beyond_f16", report.out_of_range},
                                       {"resumed_bytes", report.resumed}};
  fmt::print("{}\n", json.dump(2));
}

void PrintText(const QuantizeReport& report) {
  const QuantizePlan& plan = report.plan;
  for (const Substitute& substitute : plan.substitutes) {
    fmt::print("{}: {} instead of {}, rows of {} values\n", substitute.name, Info(substitute.type).name,
               Info(substitute.wanted).name, substitute.columns);
  }
  if (!plan.substitutes.empty()) fmt::print("{} matrices took a substitute\n", plan.substitutes.size());
  if (!plan.requantized.empty()) fmt::print("{} matrices were quantized before\n", plan.requantized.size());
  if (report.out_of_range > 0)
    fmt::print("{} values beyond the range of F16 were held at 65504\n", report.out_of_range);
  if (report.resumed > 0) fmt::print("{} were there from an earlier start\n", ReadableSize(report.resumed));
  std::vector<std::string> counts;
  for (const auto& [type, count] : CountTypes(plan)) counts.push_back(fmt::format("{} {}", count, type));
  fmt::print("{} -> {}, {:.3f} bits a weight ({})\n", ReadableSize(plan.source_bytes),
             ReadableSize(plan.bytes), plan.bits_per_weight(), fmt::join(counts, ", "));
}

Result<CalibrationSettings> ReadCalibration(const Options& options) {
  CalibrationSettings settings;
  settings.window = options.window;
  settings.windows = options.windows;
  settings.threads = options.threads;
  if (options.text.empty()) return settings;
  HONE_TRY(settings.text, ReadText(options.text));
  settings.text_name = options.text;
  return settings;
}

Result<std::unique_ptr<PreparedMethod>> Prepare(const Options& options, const std::string& from,
                                                const Importance* importance) {
  HONE_TRY(QuantizeOptions quantize, ReadOptions(options));
  quantize.importance = importance;
  HONE_TRY(const MethodInfo method, FindQuantizeMethod(options.method));
  HONE_TRY(CalibrationSettings calibration, ReadCalibration(options));
  HONE_TRY(std::unique_ptr<ModelSource> source, OpenModelSource(from, options.to + ".vocabulary"));
  std::optional<Progress> bar;
  if (method.method != QuantizeMethod::kGptq) {  // which calibrates while it writes
    calibration.progress = [&](int64_t done, int64_t total) {
      if (!bar) bar.emplace("calibrating", static_cast<uint64_t>(total), Progress::Unit::kItems);
      bar->Update(static_cast<uint64_t>(done));
    };
  }
  return PrepareMethod(method.method, from, std::move(source), std::move(quantize), std::move(calibration));
}

// Into a plan: a format that no GGUF file has.
Result<void> RunMixed(const Options& options) {
  HONE_TRY(const std::string from, ResolveModel(options.from));
  if (options.text.empty()) return WrongUsage("quantize: --type mixed2 calibrates on a text (--text FILE)");
  HONE_TRY(CalibrationSettings calibration, ReadCalibration(options));
  HONE_TRY(const MixedOptions mixed, OptionsForBits(options.bits));
  std::optional<Progress> bar;
  calibration.progress = [&](int64_t done, int64_t total) {
    if (!bar) bar.emplace("calibrating", static_cast<uint64_t>(total), Progress::Unit::kItems);
    bar->Update(static_cast<uint64_t>(done));
  };
  HONE_TRY(const MixedPlan model, QuantizeModelMixed(from, calibration, mixed));
  bar.reset();
  HONE_CHECK_OK(WritePlan(model.plan, options.to));
  if (options.json) {
    const nlohmann::ordered_json json = {{"plan", options.to},
                                         {"matrices", model.matrices},
                                         {"weights", model.weights},
                                         {"bytes", model.bytes},
                                         {"bits_per_weight", model.BitsPerWeight()}};
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}: {} matrices in {}, {:.3f} bits a weight; run it with --plan {}\n", options.to,
               model.matrices, ReadableSize(model.bytes), model.BitsPerWeight(), options.to);
  }
  return {};
}

Result<void> Run(const Options& options) {
  if (options.type == kMixedType) return RunMixed(options);
  HONE_TRY(const std::string from, ResolveModel(options.from));
  Importance importance;
  if (!options.importance.empty()) {
    HONE_TRY(importance, ReadImportanceFile(options.importance));
  }
  HONE_TRY(const auto prepared, Prepare(options, from, importance.empty() ? nullptr : &importance));
  if (!options.save_importance.empty()) {
    if (prepared->importance().empty())
      return WrongUsage("quantize: --save-importance: --method {} finds none", options.method);
    HONE_CHECK_OK(WriteImportanceFile(prepared->importance(), prepared->calibration_tokens(), options.window,
                                      options.text, options.save_importance));
  }
  QuantizeReport report;
  if (options.dry_run) {
    HONE_TRY(report.plan, PlanQuantization(prepared->source(), prepared->options()));
  } else {
    ComputePool pool(options.threads > 0 ? options.threads : DefaultThreads());
    const std::unique_ptr<ComputeShare> share = pool.MakeShare();
    std::optional<Progress> progress;
    QuantizeOptions quantize = prepared->options();
    quantize.progress = [&](uint64_t done, uint64_t total) {
      if (!progress) progress.emplace(options.to, total, Progress::Unit::kBytes);
      progress->Update(done);
    };
    HONE_TRY(report, QuantizeModel(prepared->source(), quantize, options.to, *share));
  }
  options.json ? PrintJson(report) : PrintText(report);
  return {};
}

std::string TypeNames() {
  std::vector<std::string_view> names;
  for (const TypeMix& mix : TypeMixes()) names.push_back(mix.name);
  return fmt::format("{}", fmt::join(names, " "));
}

std::string MethodNames() {
  std::string text;
  for (const MethodInfo& method : QuantizeMethods()) {
    if (!text.empty()) text += "; ";
    text += fmt::format("{}: {}{}", method.name, method.summary, method.needs_text ? " (--text)" : "");
  }
  return text;
}

}  // namespace

Action AddQuantize(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("IN", options->from,
                 "A GGUF file, a Hugging Face folder or the name of a model that was pulled")
      ->required();
  app.add_option("OUT", options->to, "The GGUF file to write, or with --type mixed2 the folder of the plan")
      ->required();
  app.add_option("--type", options->type,
                 "One of " + TypeNames() + ", or mixed2: 2, 4 and 16 bits in one matrix, by GPTQ on --text")
      ->capture_default_str();
  app.add_option("--bits", options->bits, "Bits a weight of --type mixed2")->capture_default_str();
  app.add_option("--method", options->method, "One of " + MethodNames())->capture_default_str();
  app.add_option("--text", options->text,
                 "A text to calibrate on, for the methods that do; - reads standard input");
  app.add_option("--window", options->window, "Tokens of the text that are read together")
      ->check(CLI::Range(16, 8192))
      ->capture_default_str();
  app.add_option("--windows", options->windows, "At most so many windows, spread over the text")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--importance", options->importance,
                 "An importance matrix of llama.cpp (GGUF) in the place of a text, for --method importance");
  app.add_option("--save-importance", options->save_importance,
                 "Write what calibration found as such a file");
  app.add_option("--tensor-type", options->tensor_types,
                 "NAME=TYPE for single matrices, * in NAME stands for anything; may be given more than once")
      ->allow_extra_args(false);
  app.add_flag("--uniform", options->uniform, "All matrices in the base type of --type, no mix");
  app.add_flag("--no-substitutes", options->no_substitutes,
               "Refuse where rows do not fit their type, instead of taking another one");
  app.add_flag("--allow-requantize", options->allow_requantize, "Quantize what is quantized already");
  app.add_flag("--dry-run", options->dry_run, "Only say what would be written");
  app.add_option("--threads", options->threads, "Threads (default: the processors this process may use)")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--json", options->json, "Write one JSON object");
  return [options] { return Run(*options); };
}

}  // namespace hone
