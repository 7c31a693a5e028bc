#include "core/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>

namespace hone {
namespace {

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::unique_ptr<spdlog::logger> MakeLogger() {
  auto logger =
      std::make_unique<spdlog::logger>("hone", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("hone: %^%l%$: %v");
  logger->set_level(spdlog::level::warn);
  const char* wanted = std::getenv("HONE_LOG");
  if (wanted == nullptr || *wanted == 0) return logger;
  const auto level = spdlog::level::from_str(wanted);
  if (level == spdlog::level::off && std::string_view(wanted) != "off") {
    logger->warn("HONE_LOG: \"{}\", expected trace, debug, info, warn, error or off", wanted);
    return logger;
  }
  logger->set_level(level);
  return logger;
}

spdlog::logger& Logger() {
  static const std::unique_ptr<spdlog::logger> logger = MakeLogger();
  return *logger;
}

}  // namespace

bool LogShows(LogLevel level) { return Logger().should_log(SpdlogLevel(level)); }

void LogLine(LogLevel level, std::string_view line) {
  Logger().log(SpdlogLevel(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace hone
