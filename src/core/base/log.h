// Messages for whoever looks into the program, on standard error. HONE_LOG sets the least level that is
// shown: trace, debug, info, warn (the default), error or off.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace hone {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError };

bool LogShows(LogLevel level);
void LogLine(LogLevel level, std::string_view line);

template <class... Args>
void LogDebug(fmt::format_string<Args...> text, Args&&... args) {
  if (LogShows(LogLevel::kDebug)) LogLine(LogLevel::kDebug, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void LogInfo(fmt::format_string<Args...> text, Args&&... args) {
  if (LogShows(LogLevel::kInfo)) LogLine(LogLevel::kInfo, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void LogWarning(fmt::format_string<Args...> text, Args&&... args) {
  if (LogShows(LogLevel::kWarning))
    LogLine(LogLevel::kWarning, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace hone
