#include "language/models/matmul_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/kernels/cpu/processor_key.h"
#include "language/models/runner.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

// More than any matrix has: what keeps products of two of them within 64 bits.
constexpr int64_t kMost = int64_t{1} << 31;

constexpr std::string_view kForms[] = {"float", "int8"};

Json CellJson(const MatmulCell& cell) {
  const MatmulKey& key = cell.key;
  return {{"format", Info(key.format).name},
          {"activations", kForms[static_cast<size_t>(key.form)]},
          {"threads", key.threads},
          {"rows", key.rows},
          {"columns", key.columns},
          {"activation_rows", key.activation_rows},
          {"kernel", kMatmulKernelNames[static_cast<size_t>(cell.choice.kernel)]},
          {"rows_per_task", cell.choice.rows_per_task}};
}

// Reads the fields of one cell; the first that is wrong is the error.
class CellReader {
 public:
  CellReader(const Json& cell, std::string source, size_t index)
      : cell_(cell),
        source_(std::move(source)),
        place_(fmt::format("parts.kernels.settings.cells[{}]", index)) {}

  Result<int64_t> Number(const char* name) const {
    const auto at = cell_.find(name);
    if (at == cell_.end() || !at->is_number_integer() || *at < 1 || *at > kMost)
      return BadInput(source_, place_ + "." + name, "found {}, expected a number from 1 to {}",
                      at == cell_.end() ? "nothing" : at->dump(), kMost);
    return at->get<int64_t>();
  }

  // The index of the text among `names`.
  template <class Names>
  Result<size_t> OneOf(const char* name, const Names& names) const {
    const auto at = cell_.find(name);
    const std::string text = at != cell_.end() && at->is_string() ? at->get<std::string>() : "";
    const auto found = std::find(std::begin(names), std::end(names), text);
    if (found == std::end(names))
      return BadInput(source_, place_ + "." + name, "found {}, expected one of {}",
                      at == cell_.end() ? "nothing" : at->dump(-1, ' ', true), fmt::join(names, ", "));
    return static_cast<size_t>(found - std::begin(names));
  }

  Result<MatmulCell> Read() const {
    if (!cell_.is_object()) return BadInput(source_, place_, "expected an object");
    std::vector<std::string_view> formats;
    for (const WeightFormat* format : WeightFormats()) formats.push_back(Info(format->source()).name);
    MatmulCell cell;
    HONE_TRY(const size_t format, OneOf("format", formats));
    HONE_TRY(const size_t form, OneOf("activations", kForms));
    HONE_TRY(const size_t kernel, OneOf("kernel", kMatmulKernelNames));
    HONE_TRY(const int64_t threads, Number("threads"));
    HONE_TRY(cell.key.rows, Number("rows"));
    HONE_TRY(cell.key.columns, Number("columns"));
    HONE_TRY(cell.key.activation_rows, Number("activation_rows"));
    HONE_TRY(cell.choice.rows_per_task, Number("rows_per_task"));
    cell.key.format = WeightFormats()[format]->source();
    cell.key.form = static_cast<ActivationForm>(form);
    cell.key.threads = static_cast<int>(threads);
    cell.choice.kernel = static_cast<MatmulKernel>(kernel);
    if (cell.choice.rows_per_task % kRowGroup != 0)
      return BadInput(source_, place_ + ".rows_per_task", "found {}, expected a multiple of {}",
                      cell.choice.rows_per_task, kRowGroup);
    return cell;
  }

 private:
  const Json& cell_;
  std::string source_;
  std::string place_;
};

}  // namespace

PlanPart MatmulTablePart(const MatmulTable& table) {
  Json cells = Json::array();
  for (const MatmulCell& cell : table.cells()) cells.push_back(CellJson(cell));
  PlanPart part;
  part.made_for[PlanKey::kProcessor] = ProcessorKey();
  part.settings = Json{{"cells", cells}}.dump();
  return part;
}

Result<MatmulTable> ReadMatmulTable(const PlanPart& part) {
  const std::string source = part.source.empty() ? "plan" : part.source;
  const Json settings = Json::parse(part.settings, nullptr, false);
  const auto cells = settings.is_object() ? settings.find("cells") : settings.end();
  if (!settings.is_object() || cells == settings.end() || !cells->is_array())
    return BadInput(source, "parts.kernels.settings.cells", "expected a list");
  MatmulTable table;
  for (size_t i = 0; i < cells->size(); ++i) {
    HONE_TRY(const MatmulCell cell, CellReader((*cells)[i], source, i).Read());
    table.Set(cell.key, cell.choice);
  }
  return table;
}

Result<void> UseMatmulTable(const PlanPart& part, const Model& /*model*/, RunnerOptions& options) {
  HONE_TRY(MatmulTable table, ReadMatmulTable(part));
  options.matmul_table = std::make_shared<const MatmulTable>(std::move(table));
  return {};
}

}  // namespace hone
