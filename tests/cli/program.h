// Runs the built `hone` and keeps what it said.
#pragma once

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <sys/wait.h>

namespace hone {

struct ProgramRun {
  int exit_code = 0;
  std::string out;
  std::string err;
};

inline std::string ReadWholeFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// `arguments` is read by a shell: quote in single quotes what needs it. `input` is the file on standard input.
inline ProgramRun RunHone(const std::string& arguments, const std::string& input = "/dev/null") {
  std::string name = (std::filesystem::temp_directory_path() / "hone_cli_XXXXXX").string();
  const std::filesystem::path folder = mkdtemp(name.data());
  const std::string redirect =
      arguments.find('>') == std::string::npos ? " >" + (folder / "out").string() : "";
  const std::string command =
      HONE_PROGRAM " " + arguments + redirect + " 2>" + (folder / "err").string() + " <" + input;
  const int status = std::system(command.c_str());
  ProgramRun run{WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadWholeFile(folder / "out"),
                 ReadWholeFile(folder / "err")};
  std::filesystem::remove_all(folder);
  return run;
}

}  // namespace hone
