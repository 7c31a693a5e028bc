// Arrows point down only. Headers link nothing, so the linker does not see a wrong one: this test reads every
// #include line of src and cli.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

namespace hone {
namespace {

namespace fs = std::filesystem;

// The step of each wing: a file may include its own wing and wings on lower steps.
const std::map<std::string, int> kWings = {
    {"core", 0},    {"language", 1}, {"vision", 2},     {"spatial", 2}, {"robotics", 2},
    {"silicon", 2}, {"training", 3}, {"evaluation", 4}, {"hone", 5},    {"cli", 6},
};

// Within a wing: what a room may include beside itself. A room of core that is not listed stands on base
// alone.
const std::map<std::string, std::vector<std::string>> kRooms = {
    {"core/base", {}},
    {"core/tensor", {"core/base"}},
    {"core/kernels", {"core/base", "core/tensor"}},
    {"core/formats", {"core/base", "core/tensor"}},
    {"core/downloads", {"core/base"}},
    {"language/kvcache", {}},
    {"language/models", {"language/kvcache"}},
    {"language/decoding", {"language/kvcache", "language/models"}},
    {"language/serving", {"language/kvcache", "language/models", "language/decoding"}},
};

// What a header of src would make every file that includes it pay for.
const std::vector<std::string> kHeavy = {"nlohmann/json.hpp", "CLI/CLI.hpp", "spdlog/", "boost/", "torch/"};

struct Include {
  std::string from;  // "core/base/log.cc"
  std::string to;    // as written between the quotes or brackets
  bool quoted = false;
};

std::vector<Include> ReadIncludes(const fs::path& root, const std::string& prefix) {
  static const std::regex kLine(R"re(^\s*#\s*include\s*(["<])([^">]+)[">].*)re");
  std::vector<Include> includes;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".h" && extension != ".cc" && extension != ".cu") continue;
    std::ifstream file(entry.path());
    std::smatch match;
    for (std::string line; std::getline(file, line);) {
      if (line.find("#") == std::string::npos || !std::regex_match(line, match, kLine)) continue;
      includes.push_back(
          {prefix + entry.path().lexically_relative(root).string(), match[2], match[1] == "\""});
    }
  }
  return includes;
}

std::string Wing(const std::string& path) { return path.substr(0, path.find('/')); }

// "core/formats" of "core/formats/gguf/gguf_file.h"
std::string Room(const std::string& path) {
  const size_t first = path.find('/');
  const size_t second = path.find('/', first + 1);
  return second == std::string::npos ? path.substr(0, first) : path.substr(0, second);
}

// Why the arrow is wrong, or nothing.
std::string Objection(const Include& include) {
  const std::string from = Wing(include.from), to = Wing(include.to);
  if (!kWings.contains(from)) return "unknown wing " + from;
  if (!kWings.contains(to)) return "a quoted path begins with a wing";
  if (from != to) return kWings.at(from) > kWings.at(to) ? "" : from + " may not include " + to;
  const std::string from_room = Room(include.from), to_room = Room(include.to);
  if (from_room == to_room) return "";
  const auto allowed = kRooms.find(from_room);
  if (allowed == kRooms.end())
    return from != "core" || to_room == "core/base" ? "" : "may include core/base alone";
  const auto& rooms = allowed->second;
  return std::find(rooms.begin(), rooms.end(), to_room) != rooms.end()
             ? ""
             : from_room + " may not include " + to_room;
}

std::vector<Include> AllIncludes() {
  const fs::path root = HONE_SOURCE_DIR;
  std::vector<Include> includes = ReadIncludes(root / "src", "");
  const std::vector<Include> cli = ReadIncludes(root / "cli", "cli/");
  includes.insert(includes.end(), cli.begin(), cli.end());
  return includes;
}

TEST(IncludeArrows, PointDownOnly) {
  int quoted = 0;
  for (const Include& include : AllIncludes()) {
    // Highway's way to compile a file once a target names the file as HWY_TARGET_INCLUDE and hwy headers in
    // brackets.
    if (!include.quoted || include.to.starts_with("hwy/")) continue;
    ++quoted;
    EXPECT_EQ(Objection(include), "") << include.from << " includes " << include.to;
  }
  EXPECT_GT(quoted, 100);  // the reader has read
}

TEST(IncludeArrows, NameFilesThatExist) {
  const fs::path root = HONE_SOURCE_DIR;
  for (const Include& include : AllIncludes()) {
    if (!include.quoted || include.to.starts_with("hwy/")) continue;
    EXPECT_TRUE(fs::exists(root / "src" / include.to) || fs::exists(root / include.to))
        << include.from << " includes " << include.to;
  }
}

TEST(IncludeArrows, KeepHeavyLibrariesOutOfHeaders) {
  for (const Include& include : AllIncludes()) {
    if (!include.from.ends_with(".h") || include.from.ends_with("_torch.h")) continue;
    if (include.from.ends_with("-inl.h")) continue;  // a part of the source that includes it
    for (const std::string& heavy : kHeavy)
      EXPECT_FALSE(include.to.starts_with(heavy)) << include.from << ": " << include.to;
  }
}

TEST(IncludeArrows, KeepLibtorchInFilesEndingInTorch) {
  int from_torch = 0;
  for (const Include& include : AllIncludes()) {
    const bool torch = include.to.starts_with("torch/") || include.to.starts_with("ATen/") ||
                       include.to.starts_with("c10/") || include.to.ends_with("_torch.h");
    const bool may = include.from.ends_with("_torch.h") || include.from.ends_with("_torch.cc");
    from_torch += torch && may ? 1 : 0;
    EXPECT_TRUE(may || !torch) << include.from << " includes " << include.to;
  }
  EXPECT_GT(from_torch, 5);
}

TEST(IncludeArrows, RefuseAWrongArrow) {
  EXPECT_NE(Objection({"core/base/log.cc", "language/models/model.h", true}), "");
  EXPECT_NE(Objection({"core/base/log.cc", "core/tensor/view.h", true}), "");
  EXPECT_NE(Objection({"core/kernels/matmul.cc", "core/formats/gguf/gguf_file.h", true}), "");
  EXPECT_NE(Objection({"vision/diffusion/step.cc", "spatial/points/cloud.h", true}), "");
  EXPECT_NE(Objection({"language/kvcache/kv_cache.h", "language/models/model.h", true}), "");
  EXPECT_NE(Objection({"language/models/model.h", "cli/command.h", true}), "");
  EXPECT_NE(Objection({"core/base/log.cc", "log.h", true}), "");
  EXPECT_EQ(Objection({"language/models/model.h", "core/kernels/matmul.h", true}), "");
  EXPECT_EQ(Objection({"cli/run.cc", "evaluation/metrics/perplexity.h", true}), "");
}

}  // namespace
}  // namespace hone
