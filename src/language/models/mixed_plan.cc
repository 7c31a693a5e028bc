#include "language/models/mixed_plan.h"

#include <algorithm>
#include <vector>

#include "language/models/model.h"

namespace hone {
namespace {

constexpr std::string_view kGroups = ".groups";
constexpr std::string_view kBands = ".bands";

}  // namespace

void AddMixedTensor(const std::string& name, const MixedLayout& layout, std::span<const std::byte> groups,
                    PlanPart& part) {
  PlanTensor& codes = part.tensors[name + std::string(kGroups)];
  codes.type = DType::kI8;
  codes.shape = {static_cast<int64_t>(groups.size()) / layout.bytes(), layout.bytes()};
  codes.bytes.assign(groups.begin(), groups.end());
  PlanTensor& bands = part.tensors[name + std::string(kBands)];
  bands.type = DType::kI8;
  bands.shape = {layout.columns / kBandColumns};
  bands.bytes.assign(static_cast<size_t>(layout.columns / kBandColumns), std::byte{0});
  for (const uint16_t band : layout.four) bands.bytes[band] = std::byte{1};
}

Result<MixedTensors> ReadMixedPart(const PlanPart& part) {
  const std::string source = part.source.empty() ? "plan" : part.source;
  MixedTensors mixed;
  for (const auto& [key, tensor] : part.tensors) {
    const bool is_groups = key.ends_with(kGroups);
    const std::string name = key.substr(0, key.rfind('.'));
    const std::string field = fmt::format("parts.{}.{}", kMixedPart, key);
    if (!is_groups && !key.ends_with(kBands))
      return BadInput(source, field, "expected NAME.groups or NAME.bands");
    const auto other = part.tensors.find(name + std::string(is_groups ? kBands : kGroups));
    if (other == part.tensors.end())
      return BadInput(source, field, "its {} are missing", is_groups ? "bands" : "groups");
    if (!is_groups) continue;
    const PlanTensor& bands = other->second;
    if (tensor.type != DType::kI8 || bands.type != DType::kI8 || tensor.shape.size() != 2 ||
        bands.shape.size() != 1)
      return BadInput(source, field, "expected I8 [groups, bytes] and bands I8 [columns / 16]");
    std::vector<uint8_t> four;
    for (const std::byte band : bands.bytes) {
      if (static_cast<int>(band) > 1)
        return BadInput(source, field, "a band of kind {}, expected 0 or 1", static_cast<int>(band));
      four.push_back(static_cast<uint8_t>(band));
    }
    auto plain = MixedLayout::Make(four, 0);
    if (!plain) return BadInput(source, field, "{}", plain.error().message);
    const int64_t rest = tensor.shape[1] - plain->bytes();
    if (rest < 0 || rest % 64 != 0)
      return BadInput(source, field, "groups of {} bytes, expected {} and 64 for each outlier of a row",
                      tensor.shape[1], plain->bytes());
    auto layout = MixedLayout::Make(four, rest / 64);
    if (!layout) return BadInput(source, field, "{}", layout.error().message);
    const MixedTensor found{std::move(*layout), tensor.shape[0], tensor.bytes};
    for (int64_t group = 0; group < found.groups; ++group) {
      for (int row = 0; row < kRowGroup; ++row) {
        for (int64_t k = 0; k < found.layout.outliers; ++k) {
          const int column =
              ReadOutlier(found.layout, row, k, found.bytes.data() + group * found.layout.bytes()).column;
          if (column >= found.layout.columns)
            return BadInput(source, field, "an outlier in column {} of {}", column, found.layout.columns);
        }
      }
    }
    mixed.emplace(name, found);
  }
  return mixed;
}

Result<void> UseMixedPart(const PlanPart& part, const Model& model, RunnerOptions& /*options*/) {
  const auto parts = model.loaded_parts();
  if (std::find(parts.begin(), parts.end(), kMixedPart) != parts.end()) return {};
  return BadInput(part.source.empty() ? "plan" : part.source, fmt::format("parts.{}", kMixedPart),
                  "acts when a model is loaded, but {} was loaded without it", model.path());
}

}  // namespace hone
