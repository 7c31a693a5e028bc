#include "cli/open_session.h"

#include <chrono>

#include "core/base/log.h"
#include "core/kernels/cpu/cpu_target.h"

namespace hone {

Result<OpenedSession> OpenSession(const ModelOptions& model, int64_t context, int64_t chunk) {
  const auto start = std::chrono::steady_clock::now();
  HONE_CHECK_OK(InitCpuTarget());
  HONE_TRY(Plan plan, FindPlan(model));  // before the model: a wrong folder is seen at once
  HONE_TRY(const std::string path, FindModel(model));
  MemoryLimits limits;
  if (model.kv_limit > 0) limits.kv = model.kv_limit;
  auto engine = std::make_shared<Engine>(model.ThreadCount(), limits);
  LoadOptions load;
  load.chat_template_file = model.chat_template;
  load.progress = true;
  load.context = context;
  load.rope_scaling = model.rope_scaling;
  load.plan = &plan;
  HONE_TRY(auto loaded, LoadModel(path, *engine, load));
  for (const std::string& warning : loaded->tokenizer().warnings()) LogWarning("{}: {}", path, warning);
  SessionOptions options;
  options.context = context;
  options.chunk = chunk;
  options.plan = std::move(plan);
  options.mode = model.exact ? NumericMode::kExact : NumericMode::kFast;
  HONE_TRY(Session session, Session::Create(std::move(engine), std::move(loaded), options));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return OpenedSession{std::move(session), seconds};
}

}  // namespace hone
