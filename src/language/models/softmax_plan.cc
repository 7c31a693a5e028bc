#include "language/models/softmax_plan.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "language/models/model.h"
#include "language/models/runner.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

Result<float> Bound(const Json& settings, const char* field, const std::string& source, bool positive) {
  const auto at = settings.find(field);
  const float value = at != settings.end() && at->is_number() ? at->get<float>() : 0.0f;
  if (std::isfinite(value) && (positive ? value > 0.0f && value < 88.0f : value < 0.0f)) return value;
  return BadInput(source, fmt::format("parts.softmax.settings.{}", field), "found {}, expected a number {}",
                  at == settings.end() ? std::string("nothing") : at->dump(-1, ' ', true),
                  positive ? "above 0 and below 88" : "below 0");
}

}  // namespace

Result<void> UseSoftmaxPart(const PlanPart& part, const Model& model, RunnerOptions& options) {
  const std::string source = part.source.empty() ? "plan" : part.source;
  const Json settings = Json::parse(part.settings, nullptr, false);
  if (!settings.is_object())
    return BadInput(source, "parts.softmax.settings", "found no object, expected one");
  SoftmaxScale scale;
  scale.fixed = true;
  HONE_TRY(scale.below, Bound(settings, "below", source, false));
  HONE_TRY(scale.above, Bound(settings, "above", source, true));
  const auto guard = settings.find("guard");
  if (guard == settings.end() || (*guard != "strict" && *guard != "relaxed"))
    return BadInput(source, "parts.softmax.settings.guard", "expected \"strict\" or \"relaxed\"");
  scale.strict = *guard == "strict";
  const ModelConfig& config = model.config();
  const int64_t shape[] = {config.layers, config.kv_heads};
  HONE_TRY(const std::vector<float> phi, part.Floats(kSoftmaxPhi, shape));
  options.softmax.assign(static_cast<size_t>(config.layers), {});
  for (size_t i = 0; i < phi.size(); ++i) {
    if (!std::isfinite(phi[i]))
      return BadInput(source, "parts.softmax.phi", "found a value that is not finite");
    scale.phi = phi[i];
    options.softmax[i / static_cast<size_t>(config.kv_heads)].push_back(scale);
  }
  return {};
}

}  // namespace hone
