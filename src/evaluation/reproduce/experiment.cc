#include "evaluation/reproduce/experiment.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/downloads/model_cache.h"
#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/cpu/processor_key.h"
#include "evaluation/metrics/machine_probe.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kText = "shakespeare";  // the known text, see core/downloads/known_models.h

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file && !file.eof()) return BadInput(path, "text", "cannot be read");
  return text;
}

}  // namespace

ExperimentContext::ExperimentContext(ExperimentOptions options) : options_(std::move(options)) {
  if (options_.threads == 0) options_.threads = DefaultThreads();
}

ExperimentContext::~ExperimentContext() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

Result<std::vector<std::string>> ExperimentContext::Models(std::span<const std::string_view> own) const {
  std::vector<std::string> models = options_.models;
  if (models.empty()) models.assign(own.begin(), own.end());
  for (const std::string& model : models) HONE_CHECK_OK(ResolveModel(model));
  return models;
}

Result<ExperimentContext::Text> ExperimentContext::ReadText() const {
  std::string path = options_.text;
  if (path.empty()) {
    HONE_TRY(path, ResolveModel(kText));
  }
  HONE_TRY(const std::string whole, ReadFile(path));
  const size_t cut = std::min(whole.find('\n', whole.size() / 2), whole.size());
  if (cut == 0 || cut == whole.size())
    return BadInput(path, "text", "{} bytes in one line, expected a text of many lines", whole.size());
  return Text{options_.text.empty() ? std::string(kText) : options_.text, whole.substr(0, cut + 1),
              whole.substr(cut + 1)};
}

Result<std::string> ExperimentContext::Folder() {
  if (!folder_.empty()) return folder_;
  std::string form = (fs::temp_directory_path() / "hone-reproduce-XXXXXX").string();
  if (mkdtemp(form.data()) == nullptr) return Failed("{}: cannot be made", form);
  folder_ = form;
  return folder_;
}

Result<void> ExperimentContext::Step(int64_t done, int64_t total) {
  if (options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed))
    return tl::unexpected(
        Error{ErrorKind::kInterrupted, fmt::format("interrupted after {} of {} steps", done, total)});
  if (!options_.progress) return {};
  if (!bar_) bar_ = std::make_unique<Progress>("steps", static_cast<uint64_t>(total), Progress::Unit::kItems);
  bar_->Update(static_cast<uint64_t>(done));
  if (done == total) bar_.reset();
  return {};
}

const Experiment* FindExperiment(std::string_view name) {
  const auto all = Experiments();
  const auto at = std::find_if(all.begin(), all.end(), [&](const Experiment& e) { return e.name == name; });
  return at == all.end() ? nullptr : &*at;
}

Result<Report> RunExperiment(const Experiment& experiment, const ExperimentOptions& options) {
  HONE_CHECK_OK(InitCpuTarget());
  ExperimentContext context(options);
  Report report;
  report.experiment = experiment.name;
  report.paper = experiment.paper;
  report.machine = ProcessorKey();
  report.threads = context.threads();
  ComputePool pool(context.threads());
  const auto share = pool.MakeShare();
  const auto start = std::chrono::steady_clock::now();
  report.free_cores_before = MeasureFreeCores(*share);
  HONE_CHECK_OK(experiment.run(context, report));
  report.free_cores_after = MeasureFreeCores(*share);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace hone
