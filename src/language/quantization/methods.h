// The methods of quantization by name, and what a calibration text gives each of them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "language/calibration/input_moments.h"
#include "language/quantization/quantize_model.h"

namespace hone {

enum class QuantizeMethod : uint8_t { kRtn, kSearch, kImportance, kGptq, kAwq, kSmoothQuant };

struct MethodInfo {
  QuantizeMethod method;
  std::string_view name;
  std::string_view summary;  // one line
  bool needs_text;
};
std::span<const MethodInfo> QuantizeMethods();
Result<MethodInfo> FindQuantizeMethod(std::string_view name);

struct CalibrationSettings {
  std::string text;
  std::string text_name;  // for messages
  int64_t window = 512;
  int64_t windows = 32;
  int threads = 0;
  std::function<void(int64_t done, int64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

// The model with the runner that calibrates it.
struct Calibrator {
  std::unique_ptr<Engine> engine;
  std::shared_ptr<const Model> model;
  std::unique_ptr<Runner> runner;
  std::vector<CalibrationWindow> windows;
  MomentOptions options;
};
Result<Calibrator> OpenCalibrator(const std::string& path, const CalibrationSettings& settings);

// What a method made of a model: pass `source` and `options` to QuantizeModel while it lives.
class PreparedMethod {
 public:
  virtual ~PreparedMethod() = default;
  virtual const ModelSource& source() const = 0;
  virtual const QuantizeOptions& options() const = 0;
  // Of the calibration; empty for methods without one.
  virtual const Importance& importance() const = 0;
  virtual int64_t calibration_tokens() const = 0;
};

// Runs the calibration that the method asks for, through the model at `path` with float activations, and
// completes `options`. GPTQ's second moments are collected later, layer by layer, while the file is written.
// A text that is too short, or given to a method that reads none, is refused.
Result<std::unique_ptr<PreparedMethod>> PrepareMethod(QuantizeMethod method, const std::string& path,
                                                      std::unique_ptr<ModelSource> source,
                                                      QuantizeOptions options,
                                                      CalibrationSettings calibration);

}  // namespace hone
