// hone convert IN OUT: between Hugging Face folders and GGUF files.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cli/command.h"
#include "core/base/compute_share.h"
#include "core/base/progress.h"
#include "core/downloads/model_cache.h"
#include "language/conversion/folder_writer.h"
#include "language/quantization/quantize_model.h"

namespace hone {
namespace {

struct Options {
  std::string from;
  std::string to;
  std::string type;  // empty: that of the source
  int threads = 0;
};

// What most matrices of a source are stored as, F16 where they are quantized.
DType MainType(const ModelSource& source) {
  std::map<DType, int64_t> weights;
  for (const SourceTensor& tensor : source.tensors()) {
    if (tensor.shape.size() > 1)
      weights[Info(tensor.type).elements > 1 ? DType::kF16 : tensor.type] += tensor.rows() * tensor.columns();
  }
  DType most = DType::kF16;
  for (const auto& [type, count] : weights) {
    if (!weights.contains(most) || count > weights[most]) most = type;
  }
  return most;
}

void PrintEnd(const std::string& to, uint64_t bytes, DType type, int64_t out_of_range) {
  fmt::print("wrote {}, {} of {} tensors\n", to, ReadableSize(bytes), Info(type).name);
  if (out_of_range > 0) fmt::print("{} values beyond the range of F16 were held at 65504\n", out_of_range);
}

Result<DType> ChooseType(const Options& options, const ModelSource& source) {
  if (options.type.empty()) return MainType(source);
  const auto type = DTypeFromName(options.type);
  if (type == DType::kF32 || type == DType::kF16 || type == DType::kBF16) return *type;
  return WrongUsage("convert: --type: \"{}\", expected F32, F16 or BF16 (hone quantize writes fewer bits)",
                    options.type);
}

Result<void> Run(const Options& options) {
  HONE_TRY(const std::string from, ResolveModel(options.from));
  HONE_TRY(const std::unique_ptr<ModelSource> source, OpenModelSource(from, options.to + ".vocabulary"));
  HONE_TRY(const DType type, ChooseType(options, *source));
  std::optional<Progress> progress;
  const auto show = [&](uint64_t done, uint64_t total) {
    if (!progress) progress.emplace(options.to, total, Progress::Unit::kBytes);
    progress->Update(done);
  };
  if (!std::filesystem::is_directory(from) && !options.to.ends_with(".gguf")) {
    HONE_TRY(const FolderReport report, WriteModelFolder(from, type, options.to, show));
    progress.reset();
    PrintEnd(options.to, report.bytes, type, report.out_of_range);
    return {};
  }
  QuantizeOptions quantize;
  HONE_TRY(quantize.mix, FindTypeMix(Info(type).name));
  quantize.method = "none";
  quantize.progress = show;
  ComputePool pool(options.threads > 0 ? options.threads : DefaultThreads());
  const std::unique_ptr<ComputeShare> share = pool.MakeShare();
  HONE_TRY(const QuantizeReport report, QuantizeModel(*source, quantize, options.to, *share));
  progress.reset();
  PrintEnd(options.to, report.plan.bytes, type, report.out_of_range);
  return {};
}

}  // namespace

Action AddConvert(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("IN", options->from,
                 "A Hugging Face folder, a GGUF file or the name of a model that was pulled")
      ->required();
  app.add_option("OUT", options->to, "A name that ends in .gguf, or a folder that is not there yet")
      ->required();
  app.add_option("--type", options->type, "F32, F16 or BF16 (default: what most of the source is)");
  app.add_option("--threads", options->threads, "Threads (default: the processors this process may use)")
      ->check(CLI::Range(1, 1024));
  return [options] { return Run(*options); };
}

}  // namespace hone
