#include "core/downloads/gnuplot.h"

#include <span>

#include "core/base/output_file.h"
#include "core/downloads/subprocess.h"

namespace hone {

Result<void> RunGnuplot(const std::string& script, std::string_view text) {
  HONE_TRY(OutputFile file, OutputFile::Create(script));
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(text))));
  HONE_CHECK_OK(file.Commit());
  HONE_TRY(const ProgramEnd end, RunProgram({"gnuplot", script}));
  if (end.exit_code != 0) return Failed("gnuplot: {}", end.complaint);
  return {};
}

}  // namespace hone
